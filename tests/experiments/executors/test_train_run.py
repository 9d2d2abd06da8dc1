"""A cell or point is an ordinary run, whose data others have read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import config_values
from welltuned.config import run_config_from
from welltuned.experiments.executors.train_run import train_run
from welltuned.training import train


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
