"""A cell or point is an ordinary run, whose data others have read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resuming import Killed
from support import config_values
from welltuned.config import run_config_from
from welltuned.engines.snapshot import Snapshot
from welltuned.experiments.cross_validation import cross_validate
from welltuned.experiments.executors.telling import TellingFolds
from welltuned.experiments.executors.train_run import train_run
from welltuned.runs import Run
from welltuned.training import resume, train


def test_it_trains_what_it_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(train, "run_training", lambda *arguments: asked.extend(arguments))
    values = config_values("model", "data.csv", "lora", tmp_path / "run")
    told: list[str] = []
    train_run(
        {"config": values, "command": "welltuned compare", "data": str(tmp_path)},
        lambda event, **values: told.append(event),
    )
    config, observer, command, cache = asked
    assert config == run_config_from(values) and command == "welltuned compare"
    assert cache.folder == tmp_path
    observer.working("reading", 1, 1)
    assert told == ["working"]


def test_a_config_with_folds_trains_all_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        cross_validate, "cross_validate_or_resume", lambda *arguments: asked.extend(arguments)
    )
    data: Any = {"train": "data.csv", "folds": 3}
    values = config_values("model", data, "lora", tmp_path / "run")
    train_run({"config": values, "command": "welltuned compare"}, lambda event, **values: None)
    config, observer, command, _ = asked
    assert config == run_config_from(values) and command == "welltuned compare"
    assert isinstance(observer, TellingFolds)


def test_what_was_interrupted_goes_on_and_tells_what_it_took_before(
    tiny: Any, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"task": {"pooling": "mean"}, "training": {"num_train_epochs": 1, "save_steps": 2}}
    values = config_values(tiny("bert"), few, "full", tmp_path / "run", **parts)
    request = {"config": values, "data": str(tmp_path / "data")}
    save = resume.save_snapshot

    def saved_and_killed(run: Run, snapshot: Snapshot) -> None:
        save(run, snapshot)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, "save_snapshot", saved_and_killed)
        train_run(request, lambda event, **values: None)
    steps: list[int] = []

    def tell(event: str, **values: Any) -> None:
        steps.extend([values["step"]] if event == "stepped" else [])

    train_run(request, tell)
    cost = Run(tmp_path / "run").results["cost"]
    assert steps[0] == 3 and steps[-1] == 6
    assert 0 < cost["before_resuming"]["seconds"] < sum(cost["phases"].values())
