"""Runs that report to a tracker, and stand-ins for packages that are not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hearing import Heard, hearing
from support import config_values
from welltuned.config import run_config_from
from welltuned.training import train
from welltuned.training.trackers import TrackedRun

STEPS = {"max_steps": 6, "num_train_epochs": "auto", "logging_steps": 2, "save_steps": 2}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> type[Heard]:
    """In place of TensorBoard; what it was told stands in its `events`."""
    return hearing(monkeypatch)


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
