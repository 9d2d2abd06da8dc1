"""A worker that adapts a model tells where it is and what it took."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import make_rows, write_rows
from welltuned.experiments.comparison.worker.adapting import adapt_model
from welltuned.experiments.comparison.worker.protocol import ADAPT_MODEL


@pytest.mark.slow
def test_the_adapted_model_is_told(tiny: Callable[..., str], few: str, tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "texts.jsonl", make_rows(40, seed=9))
    training = {"max_steps": 1, "precision": "fp32", "device": "cpu", "learning_rate": 1e-2}
    config = {
        "model": tiny("bert"),
        "data": {"train": few, "unlabelled": texts},
        "adaptation": {"training": training, "folder": str(tmp_path / "adapted")},
        "evaluation": {"retention": "none"},
        "task": {"pooling": "mean"},
    }
    told: list[tuple[str, dict[str, Any]]] = []
    adapt_model(
        {"do": ADAPT_MODEL, "config": config, "data": str(tmp_path)},
        lambda event, **values: told.append((event, values)),
    )
    event, values = told[-1]
    assert event == "adapted"
    assert (Path(values["model"]) / "config.json").exists()
    assert values["texts"] == 88
