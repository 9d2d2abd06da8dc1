"""The precision probe: short, in alternation, and doubtful under other work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from welltuned.engines import precision_probe
from welltuned.engines.precision_probe import LONGEST, bf16_gain, probe

CPU = torch.device("cpu")


class Clocks:
    """Steps take what they are told to, on the clock and of the processor."""

    def __init__(self, fp32: float, bf16: float, load: Callable[[int], float]) -> None:
        self.now = self.spent = 0.0
        self.asked: list[str] = []
        self._seconds, self._load = {"fp32": fp32, "bf16": bf16}, load

    def step(self) -> None:
        precision = "bf16" if torch.is_autocast_enabled("cpu") else "fp32"
        self.asked.append(precision)
        self.spent += self._seconds[precision]
        self.now += self._seconds[precision] * self._load(len(self.asked))


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clocks]:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))

    def make(fp32: float, bf16: float, load: Callable[[int], float] = lambda n: 1.0) -> Clocks:
        clocks = Clocks(fp32, bf16, load)
        time = SimpleNamespace(perf_counter=lambda: clocks.now, process_time=lambda: clocks.spent)
        monkeypatch.setattr(precision_probe, "time", time)
        return clocks

    return make


def test_precisions_take_turns(steps: Callable[..., Clocks]) -> None:
    clocks = steps(0.03, 0.02)
    assert probe(clocks.step, 1e6, CPU).gains == pytest.approx((1.5, 1.5))
    assert clocks.asked == ["fp32", "bf16"] * 3


@pytest.mark.parametrize(("fp32", "run"), [(1.0, 1e6), (0.01, 10), (0.1, 100)])
def test_it_takes_seconds_or_a_share_of_the_run(
    fp32: float, run: float, steps: Callable[..., Clocks]
) -> None:
    """A 135-million-parameter Llama waited for six full steps of both."""
    clocks = steps(fp32, fp32 / 2)
    probe(clocks.step, run, CPU)
    assert clocks.now <= min(LONGEST, max(0.2, 0.05 * run * fp32))


def test_other_work_makes_readings_doubtful_and_none_is_remembered(
    steps: Callable[..., Clocks],
) -> None:
    """Only the steps in fp32 had to wait: the clock says 32, the processor less than 1."""
    clocks = steps(0.01, 0.02, load=lambda n: 64.0 if n % 2 else 1.0)
    found = bf16_gain("gain", clocks.step, 1e6, CPU)
    assert found.speed == 1.0 and "under other work" in found.why
    quiet = bf16_gain("gain", steps(0.04, 0.02).step, 1e6, CPU)
    assert quiet.speed == pytest.approx(2.0) and "2.00 times the speed of fp32" in quiet.why
    again = bf16_gain("gain", lambda: pytest.fail("it is known"), 1e6, CPU)
    assert again.speed == quiet.speed and "measured on 20" in again.why


def test_work_that_ends_meanwhile_does_not_matter(steps: Callable[..., Clocks]) -> None:
    clocks = steps(0.01, 0.02, load=lambda n: 64.0 if n in (1, 3) else 1.0)
    assert bf16_gain("gain", clocks.step, 1e6, CPU).speed == pytest.approx(0.5)


def test_what_no_processor_does_is_not_believed(steps: Callable[..., Clocks]) -> None:
    assert bf16_gain("gain", steps(0.032, 0.001).step, 1e6, CPU).speed == 1.0


def test_random_numbers_stay_what_they_were(steps: Callable[..., Clocks]) -> None:
    clocks, state = steps(0.01, 0.02), torch.get_rng_state()

    def step() -> None:
        torch.rand(3)
        clocks.step()

    bf16_gain("gain", step, 1e6, CPU)
    assert torch.equal(torch.get_rng_state(), state)
