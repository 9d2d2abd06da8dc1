"""The trackers that a run may report to, and what is refused before it begins."""

from __future__ import annotations

import importlib.util
from typing import Any, get_args

import pytest

from faults import codes, refused
from support import config_values
from welltuned.config import run_config_from
from welltuned.engines.config import TrackerName
from welltuned.errors import Faults
from welltuned.training.preparation.prepare import prepare
from welltuned.training.trackers import TRACKERS, check_trackers


def test_every_name_that_the_config_takes_is_a_tracker() -> None:
    assert set(TRACKERS) == set(get_args(TrackerName))


def test_one_whose_package_is_missing_is_refused_before_any_weight(
    tiny: Any, few: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    missing = lambda name, *more: None if name == "tensorboard" else find(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", missing)
    training = {"report_to": "tensorboard"}
    values = config_values(tiny("bert"), few, "full", tmp_path / "run", training=training)
    with refused("training.tracker_missing", name="tensorboard", package="tensorboard"):
        prepare(run_config_from(values))


def test_each_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    faults = Faults()
    check_trackers(["wandb", "swanlab"], faults)
    assert codes(faults) == ["training.tracker_missing"] * 2
    assert [fault.values["package"] for fault in faults] == ["wandb", "swanlab"]
