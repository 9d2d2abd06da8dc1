"""Validation is read once with the same weights, and what is kept is what would be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from support import tune
from welltuned.training.session.output_memo import OutputMemo, weights_key
from welltuned.training.session.session import LoadedModel


def test_the_last_and_the_best_are_kept() -> None:
    memo, read = OutputMemo(), []

    def outputs(weights: str) -> float:
        def anew() -> np.ndarray:
            read.append(weights)
            return np.array([float(len(read))])

        return float(memo.outputs(weights, anew)[0])

    assert outputs("best") == 1.0
    memo.keep_last()
    assert [outputs("later"), outputs("later"), outputs("best")] == [2.0, 2.0, 1.0]
    assert outputs("later") == 3.0 and read == ["best", "later", "later"]


def test_weights_are_told_apart_by_value_type_and_precision() -> None:
    model = nn.Linear(2, 2)
    names = {"weight"}
    key = weights_key(model, names, "fp32")
    assert weights_key(model, names, "fp32") == key != weights_key(model, names, "bf16")
    with torch.no_grad():
        model.weight[0, 0] += 1
    moved = weights_key(model, names, "fp32")
    assert moved != key and weights_key(model.bfloat16(), names, "fp32") != moved


@pytest.mark.parametrize("best", [True, False])
def test_a_run_reads_validation_once_a_look(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: bool
) -> None:
    read: list[str] = []
    predict = LoadedModel.predict_examples

    def counted(self: Any, examples: Any, what: str, *given: Any) -> Any:
        read.append(what)
        return predict(self, examples, what, *given)

    monkeypatch.setattr(LoadedModel, "predict_examples", counted)
    training = {"load_best_model_at_end": best, "learning_rate": 0.2}  # the last is not the best
    parts: Any = {"task": {"pooling": "mean"}, "training": training}
    once = tune(tiny("bert"), sentiment, {"type": "full"}, tmp_path / "once", **parts).results
    assert (
        read.count("validation") == 2 and once["training"]["steps"] > once["training"]["best_step"]
    )
    monkeypatch.setattr(OutputMemo, "outputs", lambda self, weights, anew: anew())
    again = tune(tiny("bert"), sentiment, {"type": "full"}, tmp_path / "again", **parts).results
    assert read.count("validation") == 2 + 3
    assert once["validation"] == again["validation"] and once["test"] == again["test"]
