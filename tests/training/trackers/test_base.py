"""A run as trackers are told of it."""

from __future__ import annotations

from pathlib import Path

from welltuned.training.trackers import TrackedRun


def test_settings_are_one_level_of_scalars() -> None:
    config = {
        "task": {"costs": {"good": {"bad": 2.5}}, "columns": ("a", "b"), "none": None},
        "data": [{"train": "é"}],
        "flag": True,
        "path": Path("x"),
    }
    assert TrackedRun("a", None, Path("a"), config).settings == {
        "task.costs.good.bad": 2.5,
        "task.columns": '["a", "b"]',
        "data": '[{"train": "é"}]',
        "flag": True,
        "path": "x",
    }
