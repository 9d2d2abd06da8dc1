"""Precision probe: how many times as fast a step is in bf16 as in fp32, on this machine.

The speed of matrix products alone would not tell: casting and small operations can eat the gain,
and do on many CPUs. So steps of the loaded model are timed, on a small slice, in both precisions in
turn, for a few seconds at most. Other work on the machine shows in wall time and not in the
processor's seconds: where the two lead to different choices, steps are timed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from welltuned.engines.device import CLEARLY, Gain, autocast
from welltuned.runs.user_cache import remembered

LONGEST, LEAST, SHARE = 3.0, 0.2, 0.05
"""Seconds a probe takes at most and may always take; between them this share of the run."""
_ENOUGH, _MOST = 3, 6
"""Rounds after which steady readings are believed, and after which there is no other."""
_PLAUSIBLE = (1 / 20, 10.0)
_BOTH = ("fp32", "bf16")


@dataclass
class Readings:
    """Seconds of the steps of one probe, by precision: (on the clock, of the processor)."""

    seconds: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {precision: [] for precision in _BOTH}
    )

    @property
    def gains(self) -> tuple[float, float]:
        """By the clock and by the processor, each of the fastest steps."""
        clock, processor = (
            min(step[kind] for step in self.seconds["fp32"])
            / max(min(step[kind] for step in self.seconds["bf16"]), 1e-9)
            for kind in (0, 1)
        )
        return clock, processor

    @property
    def are_steady(self) -> bool:
        """Whether both are plausible and lead to the same choice."""
        low, high = _PLAUSIBLE
        clock, processor = self.gains
        return (clock > CLEARLY) == (processor > CLEARLY) and all(
            low < gain < high for gain in (clock, processor)
        )


def bf16_gain(name: str, step: Callable[[], None], steps: float, device: torch.device) -> Gain:
    """What is remembered under this name, else what a probe finds.

    `step` is a forward and backward pass over a slice; the run is as long as `steps` of them.
    Readings that other work makes doubtful are not remembered, and fp32 is the safe choice then.
    torch's random numbers stay what they were.
    """
    started, probed = time.perf_counter(), []

    def measure() -> float | None:
        probed.append(readings := probe(step, steps, device))
        return min(readings.gains) if readings.are_steady else None

    state = torch.get_rng_state()
    reading = remembered(name, measure)
    torch.set_rng_state(state)
    if reading is None:
        clock, processor = probed[0].gains
        told = f"{clock:.2f} times the speed of fp32 by the clock, {processor:.2f} by the processor"
        return Gain(1.0, f"probe under other work: a step in bf16 has {told}")
    since = f"in {time.perf_counter() - started:.1f} s" if probed else f"on {reading.day}"
    told = f"{reading.value:.2f} times the speed of fp32 here"
    return Gain(reading.value, f"probe: a step in bf16 has {told}, measured {since}")


def probe(step: Callable[[], None], steps: float, device: torch.device) -> Readings:
    """Time steps in both precisions in turn. The first of each warms up, so the fastest count."""
    readings, started, budget = Readings(), time.perf_counter(), LONGEST
    for number in range(1, _MOST + 1):
        begun = time.perf_counter()
        for precision in _BOTH:
            readings.seconds[precision].append(_time(step, precision, device))
        if number == 1:
            run = steps * readings.seconds["fp32"][0][0]
            budget = min(LONGEST, max(LEAST, SHARE * run))
        now = time.perf_counter()
        enough = number >= _ENOUGH and readings.are_steady
        if enough or now - started + (now - begun) > budget:
            break
    return readings


def _time(step: Callable[[], None], precision: str, device: torch.device) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    with autocast(precision, device):
        step()
    return time.perf_counter() - clock, time.process_time() - processor
