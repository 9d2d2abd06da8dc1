"""What is measured of a machine."""

from __future__ import annotations

import pytest
import torch

from welltuned.planning import calibration as module
from welltuned.planning.this_machine import keep

CPU = torch.device("cpu")


def test_a_real_machine_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIZES", ((8, 8, 8), (64, 64, 64)))
    monkeypatch.setattr(module, "_SECONDS", 0.001)
    state = torch.get_rng_state()
    found = module.measure(CPU, {"device": "cpu"})
    assert all(seconds > 0 for _, seconds in found.matmul) and found.call > 0 and found.adam > 0
    assert torch.equal(torch.get_rng_state(), state), "a run's random numbers stay what they were"
    keep(found)
