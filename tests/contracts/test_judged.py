"""Reward models, direct preference and thumbs: every strategy, both engines, saved and loaded.

Dropout is off in the tiny models, so that what is compared is the arithmetic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contracts.test_engines import turn
from support import STRATEGIES, short_tune
from welltuned.artifact.predictor import Predictor
from welltuned.engines import hf_trainer, torch_loop

TRIED = [name for name in STRATEGIES if name != "head"]
DIRECT: dict[str, Any] = {"scored_examples": 0}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def kinds(tiny: Any, causal: Any, preferences: str, ratings: str, thumbs: str) -> Any:
    """(model, data, task) by name."""
    reward = {"type": "reward", "pooling": "mean"}
    return {
        "pairs": (tiny("bert", **STILL), preferences, reward),
        "ratings": (tiny("bert", **STILL), ratings, reward),
        "decoder": (tiny("llama"), preferences, {"type": "reward"}),
        "direct": (causal("llama"), preferences, {**DIRECT, "type": "preference"}),
        "odds": (causal("llama"), preferences, {**DIRECT, "type": "preference", "loss": "orpo"}),
        "thumbs": (causal("llama"), thumbs, {**DIRECT, "type": "kto"}),
    }


EVERY = [(kind, strategy) for kind in ("pairs", "direct") for strategy in TRIED]
EVERY += [("pairs", "head"), ("ratings", "full"), ("ratings", "lora"), ("decoder", "lora")]
EVERY += [("thumbs", "lora")]
LATER = [(kind, strategy) for kind in ("odds", "thumbs") for strategy in TRIED]
LATER.remove(("thumbs", "lora"))
each = pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        pytest.param(
            *one,
            id="-".join(one),
            marks=[] if number % 3 == 0 and one not in LATER else [pytest.mark.slow],
        )
        for number, one in enumerate([*EVERY, *LATER])
    ],
)
"""Once for each; a third is quick, the others and those that share most of their code are slow."""


@each
def test_the_engines_agree_step_by_step(
    kind: str, strategy: str, kinds: Any, tmp_path: Path
) -> None:
    model, data, task = kinds[kind]
    training = {
        "num_train_epochs": "auto",
        "max_steps": 5,
        "eval_strategy": "no",
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 4,
    }
    turns = [
        turn(engine, model, data, strategy, tmp_path, task=task, **training)
        for engine in (torch_loop, hf_trainer)
    ]
    (plain, weights), (hf, hf_weights) = turns
    losses = [step.loss for step in plain.steps]
    assert [step.loss for step in hf.steps] == pytest.approx(losses, abs=1e-6)
    assert [step.tokens for step in hf.steps] == [step.tokens for step in plain.steps]
    for name, value in weights.items():
        torch.testing.assert_close(hf_weights[name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        pytest.param(kind, engine, marks=[] if (i + j) % 2 == 0 else [pytest.mark.slow])
        for i, kind in enumerate(["pairs", "ratings", "decoder", "direct", "thumbs"])
        for j, engine in enumerate([torch_loop, hf_trainer])
    ],
)
def test_eight_times_one_is_one_times_eight(
    kind: str, engine: Any, kinds: Any, tmp_path: Path
) -> None:
    """(S1) However a step is divided; prompts differ in length and in their number of pairs."""
    model, data, task = kinds[kind]
    found = []
    for size, times in ((8, 1), (1, 8)):
        training = {
            "num_train_epochs": "auto",
            "max_steps": 3,
            "eval_strategy": "no",
            "per_device_train_batch_size": size,
            "gradient_accumulation_steps": times,
            "learning_rate": 1e-3,
        }
        found.append(turn(engine, model, data, "lora", tmp_path, task=task, **training))
    (whole, weights), (parts, other) = found
    losses = [step.loss for step in whole.steps]
    assert [step.loss for step in parts.steps] == pytest.approx(losses, rel=1e-5, abs=1e-6)
    for name, value in weights.items():
        torch.testing.assert_close(other[name], value, atol=2e-5, rtol=1e-4)


@each
def test_saved_and_loaded_it_gives_the_same_scores(
    kind: str, strategy: str, kinds: Any, tmp_path: Path
) -> None:
    model, data, task = kinds[kind]
    training = {"max_steps": 3, "num_train_epochs": "auto"}
    run = short_tune(
        model, data, STRATEGIES[strategy], tmp_path / "run", task=task, training=training
    )
    proof = run.results["proof"]
    assert proof["frozen_moved"] == 0 and proof["trainable_moved"] > 0
    assert proof["reloaded_difference"] <= 1e-5
    if kind in ("direct", "odds", "thumbs"):
        return
    rows = list(run.read_lines("predictions.jsonl"))
    predictor = Predictor.load(run)
    prompts = [row["prompt"] for row in rows]
    if kind == "ratings":
        found = predictor.rewards(prompts, [row["response"] for row in rows])
        assert found == pytest.approx([row["prediction"] for row in rows], abs=1e-4)
        return
    for side in ("chosen", "rejected"):
        found = predictor.rewards(prompts, [row[side] for row in rows])
        assert found == pytest.approx([row["rewards"][side] for row in rows], abs=2e-5)
    assert np.std(found) > 0
