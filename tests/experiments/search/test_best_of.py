"""Each at its best, by the same number of trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trials import Ask, Imagined
from welltuned.config import RunConfig
from welltuned.experiments.search.best_of import tuned
from welltuned.experiments.search.config import as_run


def asked(ask: Ask, strategy: Any, **parts: Any) -> RunConfig:
    return as_run(ask(strategy, **parts))


def test_the_best_values_are_put_into_the_config_and_nothing_else(
    ask: Ask, imagined: Imagined, tmp_path: Path
) -> None:
    config = asked(ask, {"type": "lora", "r": 4}, training={"learning_rate": 0.005})
    found = tuned(config, 8, tmp_path / "tuning")
    summary = json.loads((tmp_path / "tuning" / "sweep.json").read_text())
    best = summary["trials"][summary["best"]]["values"]
    assert found.training.learning_rate == best["training.learning_rate"] != 0.005
    strategy = found.strategy.model_dump()
    assert strategy["r"] == 4, "what was written stays"
    assert strategy["lora_alpha"] == best["strategy.lora_alpha"]
    assert found.evaluation == config.evaluation and found.output_dir == config.output_dir
    assert found.training.metric_for_best_model == "auto"
    assert all(not trial.evaluation.test for trial in imagined.configs)
    assert imagined.score(found) > imagined.score(config) + 0.05


@pytest.mark.parametrize("strategy", ["full", "partial", "gradual", "prompt", "prefix", "adapter"])
def test_every_strategy_gets_the_same_number_of_trials(
    ask: Ask, imagined: Imagined, tmp_path: Path, strategy: str
) -> None:
    tuned(asked(ask, strategy), 3, tmp_path / strategy)
    assert len(imagined.configs) == 3
    assert len({config.training.learning_rate for config in imagined.configs}) == 3


def test_it_goes_on_where_it_was(ask: Ask, imagined: Imagined, tmp_path: Path) -> None:
    config = asked(ask, "lora")
    first = tuned(config, 4, tmp_path / "tuning")
    assert tuned(config, 4, tmp_path / "tuning") == first
    assert len(imagined.configs) == 4
