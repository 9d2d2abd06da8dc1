"""Processes that share the weights train as one that has them all, on either engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from forking import Forks, ranks, train_each_as_rank
from resuming import losses
from support import STRATEGIES, config_values, tune
from welltuned.runs import Run

TRAINING = {"logging_steps": 1, "load_best_model_at_end": False}
SHARED = {**TRAINING, "sharding": "fsdp2"}
DRY = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
"""Without dropout, whose random numbers each process draws for itself."""


def tasks(tiny: Any, causal: Any, few: str, instructions: str, preferences: str) -> dict[str, Any]:
    """By name what is trained: a model, data, a strategy, and other parts of a config."""
    lora = {"type": "lora", "r": 4}
    return {
        "classification": (tiny("bert", **DRY), few, "full", {"task": {"pooling": "mean"}}),
        "gradual": (tiny("bert", **DRY), few, STRATEGIES["gradual"], {"task": {"pooling": "mean"}}),
        "generation": (causal("llama"), instructions, lora, {"task": "generation"}),
        "whole generator": (causal("gpt2"), instructions, "full", {"task": "generation"}),
        "preference": (causal("llama"), preferences, lora, {"task": "preference"}),
    }


def require_same(one: Run, other: Run) -> None:
    """The losses step by step, the scores, and what was saved."""
    assert losses(other) == pytest.approx(losses(one), abs=1e-5)
    for file in one.model.glob("*.safetensors"):
        weights = load_file(other.model / file.name)
        for name, expected in load_file(file).items():
            torch.testing.assert_close(weights[name], expected, atol=2e-5, rtol=1e-4)
    assert other.results["proof"]["trainable_moved"] == one.results["proof"]["trainable_moved"]
    assert other.results["parameters"] == one.results["parameters"]


def agree(
    forks: Forks, cases: list[tuple[Any, str]], number: int, folder: Path, **training: Any
) -> None:
    """So many processes agree with one that accumulates as many micro-batches."""
    alone, together = [], []
    for i, ((model, data, strategy, parts), engine) in enumerate(cases):
        asked = {**parts, "engine": engine}
        size = {"per_device_train_batch_size": 8 // number, **training}
        whole = {**TRAINING, **size, "gradient_accumulation_steps": number}
        alone.append(tune(model, data, strategy, folder / f"one-{i}", training=whole, **asked))
        shared, where = {**SHARED, **size}, folder / f"shared-{i}"
        together.append(config_values(model, data, strategy, where, training=shared, **asked))
    ends = ranks(forks, train_each_as_rank, [{"each": together}] * number)
    assert ends == [(0, None)] * number
    for one, values in zip(alone, together, strict=True):
        require_same(one, Run.open(values["output_dir"]))


def test_two_processes_agree_with_one(
    tiny: Any, causal: Any, few: str, instructions: str, preferences: str,
    tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    found = tasks(tiny, causal, few, instructions, preferences)
    cases = [("classification", "torch"), ("generation", "hf"), ("preference", "torch")]
    agree(forks, [(found[name], engine) for name, engine in cases], 2, tmp_path, num_train_epochs=1)
