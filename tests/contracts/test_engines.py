"""Both engines compute the same: every strategy, step by step.

Dropout is off in the tiny models, so that what is compared is the arithmetic.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from support import STRATEGIES, job_for, short_tune
from welltuned.engines import loop, trainer
from welltuned.engines.events import Listener, Step
from welltuned.errors import InputError


class Losses(Listener):
    """Notes what every step reports."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.changes: list[tuple[int, str]] = []
        self.scores: list[dict[str, Any]] = []

    def stepped(self, step: Step) -> None:
        self.steps.append(step)

    def changed(self, step: int, what: str) -> None:
        self.changes.append((step, what))

    def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
        self.scores.append({"step": step, "best": best, **scores})


def turn(
    engine: Any,
    model: str,
    data: str,
    strategy: str,
    folder: Path,
    task: dict[str, Any] | None = None,
    **training: Any,
) -> Any:
    """(losses, final weights) of a training by one engine."""
    losses = Losses()
    parts = {"training": training} | ({"task": task} if task else {})
    job = job_for(model, data, STRATEGIES[strategy], losses, **parts)
    job.folder = folder
    engine.train(job)
    return losses, {name: value.detach().clone() for name, value in job.model.named_parameters()}


@pytest.mark.parametrize("accumulation", [1, 4])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_engines_agree_step_by_step(
    strategy: str, accumulation: int, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    training = {
        "num_train_epochs": 3,
        "gradient_accumulation_steps": accumulation,
        "per_device_train_batch_size": 4,
    }
    plain, weights = turn(loop, model, sentiment, strategy, tmp_path, **training)
    hf, hf_weights = turn(trainer, model, sentiment, strategy, tmp_path, **training)
    assert [step.step for step in plain.steps] == [step.step for step in hf.steps]
    for ours, theirs in zip(plain.steps, hf.steps, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
        assert theirs.learning_rate == pytest.approx(ours.learning_rate, rel=1e-9)
        assert theirs.gradient_norm == pytest.approx(ours.gradient_norm, rel=1e-5)
        assert (theirs.examples, theirs.tokens) == (ours.examples, ours.tokens)
    assert plain.changes == hf.changes and (strategy != "gradual" or len(plain.changes) > 1)
    assert plain.scores == hf.scores
    for name, value in weights.items():
        torch.testing.assert_close(hf_weights[name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "head"])
def test_the_engines_agree_on_generation(
    strategy: str, causal: Any, instructions: str, tmp_path: Path
) -> None:
    task = {"type": "generation", "max_length": 48}
    training = {
        "num_train_epochs": 2,
        "eval_strategy": "no",
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 4,
    }
    turns = [
        turn(engine, causal("llama"), instructions, strategy, tmp_path, task=task, **training)
        for engine in (loop, trainer)
    ]
    (plain, weights), (hf, hf_weights) = turns
    assert [step.loss for step in hf.steps] == pytest.approx(
        [step.loss for step in plain.steps], abs=1e-6
    )
    for name, value in weights.items():
        torch.testing.assert_close(hf_weights[name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("strategy", ["full", "partial", "gradual"])
def test_the_engines_draw_the_same_dropout_masks(
    strategy: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """And none in what is frozen: a module that drops where it should not shifts every draw."""
    model = tiny("bert", hidden_dropout_prob=0.3)
    plain, _ = turn(loop, model, sentiment, strategy, tmp_path, num_train_epochs=2)
    hf, _ = turn(trainer, model, sentiment, strategy, tmp_path, num_train_epochs=2)
    assert [step.loss for step in plain.steps] == [step.loss for step in hf.steps]


def test_an_engine_of_ones_own_turns_the_crank(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named in the config by import path: here the plain loop, and a note that it was asked."""
    (tmp_path / "my_engine.py").write_text(
        "from welltuned.engines import loop\nasked = []\n"
        "def train(job):\n    asked.append(job)\n    return loop.train(job)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    strategy, parts = {"type": "partial", "num_blocks": 0}, {"training": {"num_train_epochs": 0.2}}
    run = short_tune(
        tiny("bert"), sentiment, strategy, tmp_path / "run", engine="my_engine.train", **parts
    )
    assert len(importlib.import_module("my_engine").asked) == 1
    assert run.results["training"]["steps"] > 0


def test_an_engine_that_cannot_be_imported_is_refused(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"the engine 'no_such\.train' cannot be imported"):
        short_tune(
            tiny("bert"), sentiment, {"type": "full"}, tmp_path / "run", engine="no_such.train"
        )
