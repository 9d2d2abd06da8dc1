"""A machine whose every figure is known, so that no test has to measure one."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.planning.machine import Machine


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine(
        key={"device": "cpu"},
        matmul=((1e5, 1e-5), (1e9, 1e-2)),
        light=1e-10,
        heavy=1e-9,
        random=1e-8,
        call=1e-5,
        counting=0.0,
        adam=1e-9,
        half=1.0,
        complete=True,
    )


@pytest.fixture
def known(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every plan is made for that machine."""
    for place in ("planning.plan", "rlhf.forecast"):
        monkeypatch.setattr(f"welltuned.{place}.measured", lambda device, progress: machine)
    return machine
