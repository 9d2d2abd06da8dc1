"""Results of a run: test scores, baselines and cost."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import padding_fraction
from welltuned.engines.device import autocast, matmul_rate
from welltuned.engines.job import Outcome
from welltuned.evaluation.predict import ANSWERED_AT_ONCE
from welltuned.runs import Run, process_memory
from welltuned.tasks import Examples
from welltuned.training.observer import Observer
from welltuned.training.session import Session, build_model

_TRAINING_SAMPLE = 1000
"""Training examples that are scored at most, to be set beside validation."""


def evaluate_run(
    session: Session, run: Run, outcome: Outcome, observer: Observer
) -> dict[str, Any]:
    """Read the test split, once, and set the scores beside the baselines and the cost.

    Where the test split stays sealed, the validation split stands in for it.
    """
    prepared, problem = session.prepared, session.problem
    judged = "test" if session.config.evaluation.test else "validation"
    read, train_targets = prepared.examples[judged], prepared.examples["train"].targets
    assert read.targets is not None and train_targets is not None
    outputs, scores, responses = read_split(judged, session, observer, intervals=True)
    run.write_lines(
        "predictions.jsonl", problem.presenter.rows(outputs, read, {"response": responses})
    )
    results: dict[str, Any] = {
        judged: scores,
        **_scores_that_tell_fit(session, sealed=judged != "test"),
        "baselines": problem.scorer.baselines(train_targets, read.targets),
        "parameters": _count_parameters(session),
        "cost": {**_cost(session, outcome), "predicted": session.predicted},
        "found": session.found,
        "training": {
            "steps": outcome.steps,
            "epochs": outcome.epochs,
            "best_step": outcome.best_step,
            "stopped_early": outcome.stopped_early,
        },
        "choices": [str(choice) for choice in prepared.choices],
        "metric": session.metric,
    }
    if session.config.evaluation.untrained:
        _rebuild(session)
        _, results["baselines"]["untrained"], before = read_split(judged, session, observer)
        if before:
            texts = {"before": before, "response": responses}
            run.write_lines("predictions.jsonl", problem.presenter.rows(outputs, read, texts))
    return results


def read_split(
    split: str, session: Session, observer: Observer, intervals: bool = False
) -> tuple[np.ndarray, dict[str, Any], Sequence[str]]:
    """(outputs, scores, free text in answer to the first examples) of the model as it is now.

    Nothing is chosen by free text, which takes long, so none is asked for while test is sealed.
    """
    prepared, problem = session.prepared, session.problem
    examples = prepared.examples[split]
    assert examples.targets is not None
    session.model.eval()
    outputs = session.predict(split, session.precision_in_use, observer)
    scores = problem.scorer.score(outputs, examples.targets, intervals)
    if (responder := problem.responder) is None or split != "test":
        return outputs, scores, []
    first = examples.records.take(range(min(responder.number, len(examples))))
    with autocast(session.precision_in_use, session.device):
        responses = responder.respond(
            session.model, prepared.tokenizer, first, prepared.max_length, ANSWERED_AT_ONCE
        )
    if responses:
        scores |= responder.score(responses, first, intervals)
    return outputs, scores, responses


def _scores_that_tell_fit(session: Session, sealed: bool) -> dict[str, Any]:
    """Scores with intervals on some training examples, and on validation where not yet known.

    Set side by side they tell what was learned from what was learned by heart.
    """
    examples = session.prepared.examples
    found = {"train": _with_interval(session, "training examples", _some_training(session))}
    if not sealed:
        found["validation"] = _with_interval(session, "validation", examples["validation"])
    return found


def _some_training(session: Session) -> Examples:
    """As many training examples as validation has, drawn at random."""
    train = session.prepared.examples["train"]
    number = min(len(train), len(session.prepared.examples["validation"]), _TRAINING_SAMPLE)
    return train.take(np.random.default_rng(0).permutation(len(train))[:number].tolist())


def _with_interval(session: Session, what: str, examples: Examples) -> dict[str, Any]:
    assert examples.targets is not None
    outputs = session.predict_examples(examples, what, session.precision_in_use)
    return session.problem.scorer.score(outputs, examples.targets, intervals=True)


def _rebuild(session: Session) -> None:
    """The same model as it was before any step, built again from the seed."""
    session.model = nn.Identity()
    session.groups = []
    gc.collect()
    session.model, _ = build_model(session.prepared, session.device)
    session.model.eval()
    session.problem = session.prepared.problem


def _count_parameters(session: Session) -> dict[str, int]:
    named = [
        (name, parameter)
        for name, parameter in session.model.named_parameters()
        if ".original_module." not in name
    ]
    return {
        "total": sum(parameter.numel() for _, parameter in named),
        "trainable": sum(
            parameter.numel() for group in session.groups for parameter in group.parameters
        ),
    }


def _cost(session: Session, outcome: Outcome) -> dict[str, Any]:
    dtype = torch.bfloat16 if session.precision == "bf16" else torch.float32
    seconds = max(outcome.seconds, 1e-9)
    size = session.config.training.examples_per_pass
    return {
        "train_seconds": outcome.seconds,
        "examples_per_second": outcome.examples / seconds,
        "tokens_per_second": outcome.tokens / seconds,
        "padding_fraction": 1 - outcome.tokens / max(outcome.positions, 1),
        "padding_fraction_unsorted": _unsorted_padding(session.prepared.learned, size),
        "peak_memory_bytes": peak_memory(session.device),
        "artifact_bytes": session.artifact_bytes,
        "flops": outcome.flops,
        "hardware_efficiency": outcome.flops / seconds / matmul_rate(session.device, dtype),
    }


def _unsorted_padding(examples: Examples, size: int) -> float:
    """What random batches would have wasted, for comparison."""
    order = np.random.default_rng(0).permutation(len(examples)).tolist()
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    rows = [np.asarray(examples.rows_of(batch)) for batch in batches]
    return padding_fraction(examples.encoded.lengths, rows)


def peak_memory(device: torch.device) -> int:
    """The most memory held: on a GPU by tensors, else by this process since the run began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory.peak()
