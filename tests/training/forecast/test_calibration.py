"""What is measured of a machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from welltuned.training.forecast import calibration as module
from welltuned.training.forecast.machine_profile import keep

CPU = torch.device("cpu")


def test_a_real_machine_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIZES", ((8, 8, 8), (64, 64, 64)))
    monkeypatch.setattr(module, "_SECONDS", 0.001)
    state = torch.get_rng_state()
    found = module.calibrate_machine(CPU, {"device": "cpu"})
    assert all(seconds > 0 for _, seconds in found.matmul) and found.call > 0 and found.adam > 0
    assert torch.equal(torch.get_rng_state(), state), "a run's random numbers stay what they were"
    keep(found)


def test_a_try_that_had_to_wait_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other work on the machine may hold one try up for longer than all tries may take."""
    takes = iter([1.0, 5.0, 1e-3, 1e-3, 1e-3])  # the first of all is not timed
    now = 0.0

    def work() -> None:
        nonlocal now
        now += next(takes, 1e-3)

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now))
    assert module._fastest(work, CPU) == pytest.approx(1e-3)


def test_no_product_takes_longer_than_a_larger_one() -> None:
    table = [(1e3, 0.016), (1e6, 1e-5), (1e9, 1e-2)]
    assert module._rising(table) == ((1e3, 1e-5), (1e6, 1e-5), (1e9, 1e-2))
