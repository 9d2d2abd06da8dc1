"""What is measured of a machine, and kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from welltuned.planning import machine as module
from welltuned.planning.imagination import Operation, Trace
from welltuned.planning.machine import Machine, keep, this_machine, with_reference

CPU = torch.device("cpu")


@pytest.fixture
def counted(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[Any]:
    """An empty cache, and how often something was measured."""
    measured: list[Any] = []
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        module, "_measure", lambda device, key: measured.append(key) or replace(machine, key=key)
    )
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


def test_a_product_between_two_sizes_takes_a_time_between_theirs(machine: Machine) -> None:
    def seconds(flops: float) -> float:
        return machine.seconds(Trace(operations=Counter({Operation("matmul", flops): 1})))

    assert seconds(1e5) == pytest.approx(1e-5)
    assert seconds(1e7) == pytest.approx((1e-5 * 1e-2) ** 0.5)
    assert seconds(1e10) == pytest.approx(1e-1)
    assert seconds(1.0) == pytest.approx(1e-5), "a call costs something, however small"


def test_half_precision_divides_the_time(machine: Machine) -> None:
    trace = Trace(operations=Counter({Operation("light", 1e6): 10}))
    fast = replace(machine, half=2.0)
    assert fast.seconds(trace, half=True) == pytest.approx(machine.seconds(trace) / 2)


def test_a_real_machine_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIZES", ((8, 8, 8), (64, 64, 64)))
    monkeypatch.setattr(module, "_SECONDS", 0.001)
    state = torch.get_rng_state()
    found = module._measure(CPU, {"device": "cpu"})
    assert all(seconds > 0 for _, seconds in found.matmul) and found.call > 0 and found.adam > 0
    assert torch.equal(torch.get_rng_state(), state), "a run's random numbers stay what they were"
    keep(found)
