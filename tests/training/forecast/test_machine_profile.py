"""A machine is measured once, and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from welltuned.training.forecast import machine_profile as module
from welltuned.training.forecast.machine_profile import this_machine, with_reference
from welltuned.training.forecast.prices import Machine

CPU = torch.device("cpu")


@pytest.fixture
def counted(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[Any]:
    """An empty cache, and how often something was measured."""
    measured: list[Any] = []
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))

    def counting(device: Any, key: Any) -> Machine:
        measured.append(key)
        return replace(machine, key=key)

    monkeypatch.setattr(module, "calibrate_machine", counting)
    return measured


def test_a_machine_is_measured_once(counted: list[Any]) -> None:
    first = this_machine(CPU)
    assert this_machine(CPU) == first and len(counted) == 1


def test_a_machine_that_has_changed_is_measured_anew(
    counted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    this_machine(CPU)
    monkeypatch.setattr(module, "processor", lambda: "another processor")
    this_machine(CPU)
    assert [key["processor"] == "another processor" for key in counted] == [False, True]
    assert {"threads", "torch", "cores", "device"} <= set(counted[0])


def test_a_cache_that_cannot_be_read_is_no_error(counted: list[Any], tmp_path: Path) -> None:
    found = this_machine(CPU)
    (kept,) = tmp_path.glob("cache/speed-*.json")
    kept.write_text("{")
    assert this_machine(CPU) == found and len(counted) == 2


def test_its_memory_is_kept_with_it(counted: list[Any]) -> None:
    found = with_reference(
        this_machine(CPU), fixed_bytes=7, churn=0.5, pace=2.0, call=1e-5, start=0.25
    )
    assert this_machine(CPU) == found and found.complete
