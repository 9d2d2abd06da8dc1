"""What tests of searches share: a config to vary, and trials that cost no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import config_values
from trials import Ask, Imagined, values_of
from welltuned.experiments.search import sweep as sweeps
from welltuned.experiments.search.config import SweepConfig


@pytest.fixture
def ask(tiny: Any, sentiment: str, tmp_path: Path) -> Ask:
    """`ask(strategy="lora", sweep={…})`: a sweep in `tmp_path/sweep`; its trials are short."""

    def make(strategy: Any = "lora", **parts: Any) -> SweepConfig:
        training = {"learning_rate": "auto", "num_train_epochs": 2, **parts.pop("training", {})}
        values = config_values(
            tiny(parts.pop("family", "bert")),
            sentiment,
            strategy,
            tmp_path / "sweep",
            training=training,
            **{"task": {"pooling": "mean"}, **parts},
        )
        return SweepConfig.model_validate(values_of(values))

    return make


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> Imagined:
    """Sweeps whose trials are imagined and that draw no charts; all else about them is real."""
    double = Imagined()
    monkeypatch.setattr(sweeps, "run_training", double)
    monkeypatch.setattr(sweeps, "write_sweep_report", lambda folder: None)
    return double
