"""What a run is judged by: scores beside baselines, and the cost."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import padding_fraction
from welltuned.engines.job import Outcome
from welltuned.engines.precision import autocast, matmul_rate
from welltuned.evaluation.predicting import ANSWERED_AT_ONCE
from welltuned.observer import Observer
from welltuned.runs import Run, memory
from welltuned.tasks import Examples
from welltuned.tuning import Tuning, build

_TRAINING_SAMPLE = 1000
"""Training examples that are scored at most, to be set beside validation."""


def evaluate(tuning: Tuning, run: Run, outcome: Outcome, observer: Observer) -> dict[str, Any]:
    """Read the test split, once, and set the scores beside the baselines and the cost."""
    prepared, problem = tuning.prepared, tuning.problem
    test, train_targets = prepared.examples["test"], prepared.examples["train"].targets
    assert test.targets is not None and train_targets is not None
    outputs, scores, responses = _score_test(tuning, observer, intervals=True)
    run.write_lines("predictions.jsonl", problem.rows(outputs, test, {"response": responses}))
    some, precision = _some_training(tuning), tuning.precision_in_use
    results: dict[str, Any] = {
        "test": scores,
        "train": _with_intervals(
            tuning, tuning.predict_examples(some, "training examples", precision), some
        ),
        "validation": _with_intervals(
            tuning, tuning.predict("validation", precision), prepared.examples["validation"]
        ),
        "baselines": {},
        "parameters": _count_parameters(tuning),
        "cost": {**_cost(tuning, outcome), "predicted": tuning.predicted},
        "found": tuning.found,
        "training": {
            "steps": outcome.steps,
            "epochs": outcome.epochs,
            "best_step": outcome.best_step,
            "stopped_early": outcome.stopped_early,
        },
        "choices": [str(choice) for choice in prepared.choices],
        "metric": problem.default_metric
        if tuning.config.training.metric_for_best_model == "auto"
        else tuning.config.training.metric_for_best_model,
    }
    if majority := problem.baseline(train_targets, test.targets):
        results["baselines"]["majority"] = majority
    if tuning.config.evaluation.untrained:
        _rebuild(tuning)
        _, results["baselines"]["untrained"], before = _score_test(tuning, observer)
        if before:
            texts = {"before": before, "response": responses}
            run.write_lines("predictions.jsonl", problem.rows(outputs, test, texts))
    return results


def _score_test(
    tuning: Tuning, observer: Observer, intervals: bool = False
) -> tuple[np.ndarray, dict[str, Any], Sequence[str]]:
    """(outputs, scores, free text in answer to the first examples) of the model as it is now."""
    prepared, problem = tuning.prepared, tuning.problem
    test = prepared.examples["test"]
    assert test.targets is not None
    tuning.model.eval()
    outputs = tuning.predict("test", tuning.precision_in_use, observer)
    scores = problem.score(outputs, test.targets, intervals)
    first = test.records.take(range(min(problem.answered, len(test))))
    with autocast(tuning.precision_in_use, tuning.device):
        responses = problem.respond(
            tuning.model, prepared.tokenizer, first, prepared.max_length, ANSWERED_AT_ONCE
        )
    if responses:
        scores |= problem.score_responses(responses, first, intervals)
    return outputs, scores, responses or []


def _some_training(tuning: Tuning) -> Examples:
    """As many training examples as validation has, drawn at random: what was learned by heart?"""
    train = tuning.prepared.examples["train"]
    number = min(len(train), len(tuning.prepared.examples["validation"]), _TRAINING_SAMPLE)
    chosen = np.random.default_rng(0).permutation(len(train))[:number].tolist()
    assert train.targets is not None
    return Examples(train.encoded.take(chosen), train.targets[chosen], train.records.take(chosen))


def _with_intervals(tuning: Tuning, outputs: np.ndarray, examples: Examples) -> dict[str, Any]:
    """Scores, and how many examples they rest on."""
    assert examples.targets is not None
    scores = tuning.problem.score(outputs, examples.targets, intervals=True)
    return {**scores, "examples": len(examples)}


def _rebuild(tuning: Tuning) -> None:
    """The same model as it was before any step, built again from the seed."""
    tuning.model = nn.Identity()
    tuning.groups = []
    gc.collect()
    tuning.model, _ = build(tuning.prepared, tuning.device)
    tuning.model.eval()
    tuning.problem = tuning.prepared.problem


def _count_parameters(tuning: Tuning) -> dict[str, int]:
    named = [
        (name, parameter)
        for name, parameter in tuning.model.named_parameters()
        if ".original_module." not in name
    ]
    return {
        "total": sum(parameter.numel() for _, parameter in named),
        "trainable": sum(
            parameter.numel() for group in tuning.groups for parameter in group.parameters
        ),
    }


def _cost(tuning: Tuning, outcome: Outcome) -> dict[str, Any]:
    lengths = tuning.prepared.examples["train"].lengths
    dtype = torch.bfloat16 if tuning.precision == "bf16" else torch.float32
    seconds = max(outcome.seconds, 1e-9)
    size = tuning.config.training.per_device_train_batch_size
    assert not isinstance(size, str), "it was found before training"
    return {
        "train_seconds": outcome.seconds,
        "examples_per_second": outcome.examples / seconds,
        "tokens_per_second": outcome.tokens / seconds,
        "padding_fraction": 1 - outcome.tokens / max(outcome.positions, 1),
        "padding_fraction_unsorted": _unsorted_padding(lengths, size),
        "peak_memory_bytes": torch.cuda.max_memory_allocated(tuning.device)
        if tuning.device.type == "cuda"
        else memory.peak(),
        "artifact_bytes": tuning.artifact_bytes,
        "flops": outcome.flops,
        "hardware_efficiency": outcome.flops / seconds / matmul_rate(tuning.device, dtype),
    }


def _unsorted_padding(lengths: np.ndarray, size: int) -> float:
    """What random batches would have wasted, for comparison."""
    order = np.random.default_rng(0).permutation(len(lengths))
    return padding_fraction(
        lengths, [order[start : start + size] for start in range(0, len(order), size)]
    )
