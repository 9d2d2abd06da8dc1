"""Processes that share the weights train as one that has them all, on either engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from contracts.test_separate_pairs import make_pairs
from forking import Forks, ranks, train_as_rank, train_each_as_rank
from resuming import differing, left_by, losses
from support import STRATEGIES, config_values, tune, write_rows
from welltuned.runs import Run
from welltuned.runs.checkpoints import load_tensors, newest_checkpoint

TRAINING = {"logging_steps": 1, "save_steps": 1, "load_best_model_at_end": False}
SHARED = {**TRAINING, "sharding": "fsdp2"}
_ROUNDING = 1e-7
"""Square roots of mean squares of gradients that are nothing but rounding."""
DRY = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
"""Without dropout, whose random numbers each process draws for itself."""


def tasks(tiny: Any, causal: Any, few: str, instructions: str, preferences: str) -> dict[str, Any]:
    """By name what is trained: a model, data, a strategy, and other parts of a config."""
    lora = {"type": "lora", "r": 4}
    generation = {"task": {"type": "generation", "decoding": {"max_new_tokens": 4}}}
    pairs = write_rows(Path(few).with_name("pairs.jsonl"), make_pairs(40))
    separate = {"task": {"pooling": "mean", "pair": "separate"}}
    return {
        "classification": (tiny("bert", **DRY), few, "full", {"task": {"pooling": "mean"}}),
        "pairs": (tiny("bert", **DRY), pairs, "full", separate),
        "gradual": (tiny("bert", **DRY), few, STRATEGIES["gradual"], {"task": {"pooling": "mean"}}),
        "generation": (causal("llama"), instructions, lora, generation),
        "whole generator": (causal("gpt2"), instructions, "full", generation),
        "preference": (causal("llama"), preferences, lora, {"task": "preference"}),
    }


def require_same(one: Run, other: Run, within: float) -> None:
    """The losses step by step, and all that was saved: none of it is in parts."""
    assert losses(other) == pytest.approx(losses(one), abs=within)
    left, expected = (newest_checkpoint(run.snapshots) for run in (other, one))
    assert left is not None and expected is not None and left.name == expected.name
    learned = with_gradients(load_tensors(expected, "optimizer"))
    for name in ("weights", "optimizer"):
        found = load_tensors(left, name), load_tensors(expected, name)
        require_close(*found, learned, 2 * within)
    for file in one.model.glob("*.safetensors"):
        require_close(load_file(other.model / file.name), load_file(file), learned, 2 * within)
    assert other.results["proof"]["trainable_moved"] == one.results["proof"]["trainable_moved"]
    assert other.results["parameters"] == one.results["parameters"]


def with_gradients(moments: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """By name which numbers of a weight have a gradient.

    What adds the same to all scores of a softmax, as the bias of keys does, has none: AdamW makes
    steps of its rounding.
    """
    squares = "exp_avg_sq/"
    return {
        name.removeprefix(squares): tensor.sqrt() > _ROUNDING
        for name, tensor in moments.items()
        if name.startswith(squares)
    }


def require_close(found: Any, expected: Any, learned: Any, within: float) -> None:
    """Tensors by name, where there was something to learn."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        where = learned.get(name, torch.ones_like(tensor, dtype=torch.bool))
        torch.testing.assert_close(found[name][where], tensor[where], atol=within, rtol=1e-4)


def agree(
    forks: Forks, cases: list[tuple[Any, str]], number: int, folder: Path,
    within: float = 1e-5, **training: Any,
) -> None:  # fmt: skip
    """So many processes agree with one that accumulates as many micro-batches."""
    alone, together = [], []
    for i, ((model, data, strategy, parts), engine) in enumerate(cases):
        asked = {**parts, "engine": engine}
        # At higher rates what AdamW makes of rounding is soon seen in the loss.
        usual = {"num_train_epochs": 1, "learning_rate": 2e-3}
        size = {**usual, "per_device_train_batch_size": 8 // number, **training}
        whole = {**TRAINING, **size, "gradient_accumulation_steps": number}
        alone.append(tune(model, data, strategy, folder / f"one-{i}", training=whole, **asked))
        shared, where = {**SHARED, **size}, folder / f"shared-{i}"
        together.append(config_values(model, data, strategy, where, training=shared, **asked))
    ends = ranks(forks, train_each_as_rank, [{"each": together}] * number)
    assert ends == [(0, None)] * number
    for one, values in zip(alone, together, strict=True):
        require_same(one, Run.open(values["output_dir"]), within)


def test_two_processes_agree_with_one(
    tiny: Any, causal: Any, few: str, instructions: str, preferences: str,
    tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    found = tasks(tiny, causal, few, instructions, preferences)
    cases = [("classification", "torch"), ("generation", "hf"), ("preference", "torch")]
    agree(forks, [(found[name], engine) for name, engine in cases], 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "hf"])
@pytest.mark.parametrize("number", [3, 4])
def test_more_processes_agree_with_one(
    number: int, engine: str, tiny: Any, causal: Any, few: str, instructions: str,
    preferences: str, tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    """Of three none has a third of a weight, and the last step has examples for two."""
    found = tasks(tiny, causal, few, instructions, preferences)
    agree(forks, [(case, engine) for case in found.values()], number, tmp_path)


@pytest.mark.slow
def test_half_precision_and_recomputed_activations_agree(
    tiny: Any, causal: Any, few: str, instructions: str, preferences: str,
    tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    found = tasks(tiny, causal, few, instructions, preferences)
    cases = [(found[name], "torch") for name in ("whole generator", "generation")]
    agree(forks, cases, 2, tmp_path / "fp32", gradient_checkpointing=True)
    half = {"precision": "bf16", "gradient_checkpointing": True, "learning_rate": 1e-4}
    agree(forks, cases, 2, tmp_path / "bf16", within=2e-3, **half)


@pytest.mark.slow
def test_a_learning_rate_is_found_together(
    tiny: Any, causal: Any, few: str, instructions: str, preferences: str,
    tmp_path: Path, forks: Forks,
) -> None:  # fmt: skip
    found = tasks(tiny, causal, few, instructions, preferences)
    agree(forks, [(found["classification"], "torch")], 2, tmp_path, learning_rate="find")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "hf"])
def test_they_go_on_as_if_never_stopped(
    engine: str, tiny: Any, few: str, tmp_path: Path, forks: Forks
) -> None:
    """One of them alone hears the signal. The best weights are kept, too."""
    training = {**SHARED, "per_device_train_batch_size": 4, "load_best_model_at_end": True}
    parts = {"task": {"pooling": "mean"}, "engine": engine, "training": training}
    values = [
        config_values(tiny("bert"), few, {"type": "full"}, tmp_path / name, **parts)
        for name in ("whole", "other")
    ]
    assert ranks(forks, train_as_rank, [{"values": values[0]}] * 2) == [(0, None)] * 2
    stops: list[dict[str, Any]] = [{"values": values[1]}, {"values": values[1], "stops_after": 4}]
    assert [status for status, _ in ranks(forks, train_as_rank, stops)] == [143, 143]
    goes_on = [{"values": values[1], "resumes": True}] * 2
    assert ranks(forks, train_as_rank, goes_on) == [(0, None)] * 2
    whole, other = (Run.open(tmp_path / name) for name in ("whole", "other"))
    assert not differing(left_by(other), left_by(whole))
    assert len(losses(other)) > 6


def test_processes_that_want_different_things_say_which(
    tiny: Any, few: str, tmp_path: Path, forks: Forks
) -> None:
    parts = {"task": {"pooling": "mean"}}
    values = [
        config_values(
            tiny("bert"), few, "full", tmp_path / "run", training={"learning_rate": rate}, **parts
        )
        for rate in (1e-2, 1e-3)
    ]
    ends = ranks(forks, train_as_rank, [{"values": own} for own in values])
    for status, error in ends:
        assert status != 0
        assert "process 1 was started with 'training.learning_rate' = 0.001" in str(error)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_step_that_is_not_finite_is_studied_by_all(
    causal: Any, instructions: str, tmp_path: Path, forks: Forks
) -> None:
    training = {**SHARED, "learning_rate": 1e30, "per_device_train_batch_size": 4}
    parts = {"task": "generation", "training": training}
    values = config_values(causal("llama"), instructions, "full", tmp_path / "run", **parts)
    ends = ranks(forks, train_as_rank, [{"values": values}] * 2)
    assert all(status != 0 and "not finite" in str(error) for status, error in ends)
    [study] = (tmp_path / "run" / "not_finite").glob("*.json")
    found = json.loads(study.read_text(encoding="utf-8"))
    assert [len(batch["examples"]) for batch in found["micro_batches"]] == [4, 4]
    assert found["weights"]
