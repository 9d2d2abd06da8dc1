"""A tracker that keeps what it is told, and stand-ins for packages that are not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from support import config_values
from welltuned.config import run_config_from
from welltuned.training import train
from welltuned.training.trackers import End, TrackedRun, Tracker, tracking

STEPS = {"max_steps": 6, "num_train_epochs": "auto", "logging_steps": 2, "save_steps": 2}


class Heard(Tracker):
    """Keeps what all of its kind are told, and fails where it is asked to."""

    package: ClassVar[str] = "tensorboard"
    events: ClassVar[list[tuple[Any, ...]]] = []
    fails_at: ClassVar[str | None] = None

    def _hear(self, what: str, *told: Any) -> None:
        if what == self.fails_at:
            raise RuntimeError("no route to hf_Planted0123456789Planted")
        self.events.append((what, *told))

    def begin(self, run: TrackedRun) -> str:
        self._hear("begin", run)
        return run.known_as or "its-name"

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._hear("log", step, dict(numbers))

    def conclude(self, step: int, numbers: Mapping[str, float]) -> None:
        self._hear("conclude", step, dict(numbers))

    def end(self, how: End) -> None:
        self._hear("end", how)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> type[Heard]:
    """In place of TensorBoard; what it was told stands in its `events`."""
    monkeypatch.setattr(Heard, "events", [])
    monkeypatch.setattr(Heard, "fails_at", None)
    monkeypatch.setattr(tracking, "TRACKERS", {"tensorboard": Heard, "mlflow": Heard})
    return Heard


@pytest.fixture
def asked(tiny: Any, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`asked("name", engine="hf")`: the config of a run of six steps that reports to a tracker."""
    monkeypatch.setattr(train, "write_run_report", lambda run: None)

    def make(name: str, training: Any = None, **parts: Any) -> Any:
        told = {"report_to": ["tensorboard"], **STEPS, **(training or {})}
        parts = {"task": {"pooling": "mean"}, "evaluation": {"untrained": False}, **parts}
        values = config_values(tiny("bert"), few, "full", tmp_path / name, training=told, **parts)
        return run_config_from(values)

    return make


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """`stand_in("wandb", init=…)`: a module of that name with these functions."""

    def make(name: str, **content: Any) -> Any:
        module: Any = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return make


@pytest.fixture
def tracked(tmp_path: Path) -> TrackedRun:
    """One cell of a comparison."""
    config = {"model": {"name": "m"}, "training": {"learning_rate": 0.1, "max_steps": None}}
    return TrackedRun("lora-seed-1", "reviews", tmp_path, config)
