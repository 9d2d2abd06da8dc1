"""What was asked and decided is noted before the first step, and tells an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resuming import Killed, Killing
from support import config_values
from welltuned.config import run_config_from
from welltuned.runs import Run
from welltuned.runs.ownership import owned
from welltuned.training.decisions import is_interrupted
from welltuned.training.train import run_training


@pytest.fixture
def asked(tiny: Any, few: str, tmp_path: Path) -> Any:
    def make(**training: Any) -> Any:
        training = {"num_train_epochs": 1, "learning_rate": "auto", **training}
        parts = {"task": {"pooling": "mean"}, "training": training}
        values = config_values(tiny("bert"), few, "full", tmp_path / "run", **parts)
        return run_config_from(values)

    return make


def test_only_a_run_of_that_very_config_is_the_interrupted_one(asked: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert not is_interrupted(folder, asked())
    with pytest.raises(Killed):
        run_training(asked(), Killing(2))
    run = Run(folder)
    start = run.read("start.json")
    assert start["asked"]["training"]["learning_rate"] == "auto"
    assert isinstance(start["config"]["training"]["learning_rate"], float)
    assert any(choice["name"] == "learning_rate" for choice in start["choices"])
    assert is_interrupted(folder, asked())
    assert not is_interrupted(folder, asked(learning_rate=0.5))
    assert is_interrupted(folder, asked(report_to=["tensorboard"])), "whoever hears of it"
    with owned(folder):
        assert not is_interrupted(folder, asked()), "it is at work"
    run.set_status("finished", 3)
    assert not is_interrupted(folder, asked())
