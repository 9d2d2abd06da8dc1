"""What this machine does in a second, measured once and kept in the user's cache.

A step is priced by its operations: matrix products by their size, all else by the data
that passes through, and each by what calling it costs. Nothing is assumed of processors.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from welltuned.engines.precision import autocast
from welltuned.machine import cache_folder
from welltuned.planning.imagination import Operation, Trace
from welltuned.runs.environment import processor
from welltuned.runs.folder import write_atomically

_VERSION = 4
"""To be raised when what is measured changes."""
_SIZES = ((32, 32, 32), (128, 64, 128), (256, 256, 256), (512, 384, 1536), (1024, 1024, 1024))
"""Matrix products that are timed, as (rows, inner size, columns)."""
_ELEMENTS = 2**20
_WEIGHTS = 2**21
_CHAIN = 100
_TRIES, _SECONDS = 5, 0.06
"""An operation is tried so often, and for at most so long; the fastest try counts."""

FIXED_BYTES = 120 * 2**20
CHURN = 0.3
PACE = 1.6
START = 0.5
"""What stands in for `Machine.fixed_bytes`, `churn`, `pace` and `start` until reference runs
have measured them: what Linux with glibc shows for small encoders."""


@dataclass(frozen=True)
class Machine:
    """One machine, with one number of threads, one torch and one kind of device."""

    key: dict[str, Any]
    matmul: tuple[tuple[float, float], ...]
    """(floating-point operations, seconds) of products of growing size."""
    light: float
    """Seconds a byte read or written."""
    heavy: float
    """Seconds an element of a function such as gelu."""
    random: float
    """Seconds a random number."""
    call: float
    """Seconds an operation costs besides its work, its part in the backward pass included."""
    counting: float
    """What counting floating-point operations adds to that."""
    adam: float
    """Seconds a weight that AdamW moves."""
    half: float
    """How many times as fast a step is when matrix products are bf16."""
    fixed_bytes: int = FIXED_BYTES
    """Memory that libraries take once they are used, whatever the model."""
    churn: float = CHURN
    """Of the bytes that a step allocates and frees again, the share that the process keeps."""
    pace: float = PACE
    """How many times as long a real run takes as its operations do when each is tried by itself,
    again and again, with its data at hand."""
    start: float = START
    """Seconds that the first step of a run takes beyond what others do: libraries load."""
    complete: bool = False
    """Whether the last four, and what a call costs in a real run, were measured here."""

    def seconds(self, trace: Trace, half: bool = False) -> float:
        """How long what was imagined would take, with `half` in bf16."""
        seconds = sum(
            number * self._seconds(operation) for operation, number in trace.operations.items()
        )
        return seconds / self.half if half else seconds

    @property
    def flops_per_second(self) -> float:
        """Of the largest product that was timed."""
        flops, seconds = self.matmul[-1]
        return flops / seconds

    def _seconds(self, operation: Operation) -> float:
        match operation.kind:
            case "matmul":
                return self._product(operation.size)
            case "heavy":
                return self.call + self.heavy * operation.size
            case "random":
                return self.call + self.random * operation.size
            case "light":
                return self.call + self.light * operation.size
        return self.call

    def _product(self, flops: float) -> float:
        """Between two sizes that were timed by the line between them, on logarithmic paper."""
        sizes = [size for size, _ in self.matmul]
        above = next((i for i, size in enumerate(sizes) if size >= flops), len(sizes) - 1)
        (x0, y0), (x1, y1) = self.matmul[max(above - 1, 0)], self.matmul[max(above, 1)]
        if flops <= sizes[0]:
            return y0
        if flops >= sizes[-1]:
            return y1 * flops / x1
        share = math.log(flops / x0) / math.log(x1 / x0)
        return y0 * (y1 / y0) ** share


def this_machine(device: torch.device) -> Machine:
    """From the cache or, the first time and after a change, measured in a second or two."""
    key = _key(device)
    found = _read(key)
    if found is None:
        found = _measure(device, key)
        keep(found)
    return found


def with_reference(
    machine: Machine, *, fixed_bytes: int, churn: float, pace: float, call: float, start: float
) -> Machine:
    """The machine with what reference runs have shown of it, kept."""
    complete = replace(
        machine,
        fixed_bytes=fixed_bytes,
        churn=churn,
        pace=pace,
        call=call,
        start=start,
        complete=True,
    )
    keep(complete)
    return complete


# --- The cache ---------------------------------------------------------------


def keep(machine: Machine, folder: Path | None = None) -> None:
    """Write a machine into the cache. Where that cannot be written, it is measured again."""
    file = (folder or cache_folder()) / _name(machine.key)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(asdict(machine), indent=2) + "\n")


def _read(key: dict[str, Any]) -> Machine | None:
    try:
        values = json.loads((cache_folder() / _name(key)).read_text(encoding="utf-8"))
        pairs = tuple((float(size), float(seconds)) for size, seconds in values["matmul"])
        machine = Machine(**{**values, "matmul": pairs})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # not there, or from another version
    return machine if machine.key == key else None


def _name(key: dict[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=6).hexdigest()
    return f"speed-{digest}.json"


def _key(device: torch.device) -> dict[str, Any]:
    cuda = device.type == "cuda"
    return {
        "version": _VERSION,
        "processor": torch.cuda.get_device_name(device) if cuda else processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": device.type,
    }


# --- Measuring ---------------------------------------------------------------


def _measure(device: torch.device, key: dict[str, Any]) -> Machine:
    state = torch.get_rng_state()
    numbers = torch.rand(_ELEMENTS, device=device)
    chain, counted = _chain(device, False), _chain(device, True)
    machine = Machine(
        key=key,
        matmul=tuple(_product(size, device) for size in _SIZES),
        light=_fastest(lambda: numbers + numbers, device) / (3 * 4 * _ELEMENTS),
        heavy=_fastest(lambda: functional.gelu(numbers), device) / _ELEMENTS,
        random=_fastest(lambda: torch.empty_like(numbers).bernoulli_(0.9), device) / _ELEMENTS,
        call=chain,
        counting=max(counted - chain, 0.0),
        adam=_adam(device),
        half=_half(device),
    )
    torch.set_rng_state(state)
    return machine


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of a few tries."""
    work()  # the first try loads what it needs
    best, started = math.inf, time.perf_counter()
    for _ in range(_TRIES):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - started > _SECONDS:
            break
    return best


def _product(size: tuple[int, int, int], device: torch.device) -> tuple[float, float]:
    rows, inner, columns = size
    left, right = torch.rand(rows, inner, device=device), torch.rand(inner, columns, device=device)
    return 2.0 * rows * inner * columns, _fastest(lambda: left @ right, device)


def _chain(device: torch.device, counted: bool) -> float:
    """Seconds of one small operation, forward or backward, in a chain of them."""
    start = torch.rand(8, device=device, requires_grad=True)

    def run() -> None:
        value = start
        for _ in range(_CHAIN):
            value = value + 1.0
        value.sum().backward()

    def count() -> None:
        with FlopCounterMode(display=False):
            run()

    return _fastest(count if counted else run, device) / (2 * _CHAIN)


def _adam(device: torch.device) -> float:
    weights = torch.nn.Parameter(torch.rand(_WEIGHTS, device=device))
    weights.grad = torch.rand(_WEIGHTS, device=device)
    optimizer = torch.optim.AdamW([weights], fused=device.type in ("cpu", "cuda"))
    optimizer.step()  # the first makes its moments
    return _fastest(optimizer.step, device) / _WEIGHTS


def _half(device: torch.device) -> float:
    """The gain of bf16 for a feed-forward network the size of a small encoder's."""
    layers = torch.nn.Sequential(
        torch.nn.Linear(384, 1536), torch.nn.GELU(), torch.nn.Linear(1536, 384)
    ).to(device)
    states = torch.rand(512, 384, device=device)

    def step(precision: str) -> None:
        with autocast(precision, device):
            loss = layers(states).float().sum()
        loss.backward()

    full = _fastest(lambda: step("fp32"), device)
    return full / _fastest(lambda: step("bf16"), device)
