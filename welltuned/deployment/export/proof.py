"""Proof of an export: how far its outputs are from the original's, what it does to the score, and
what answers cost with either.

The score is that of the same examples by both models, so its difference has a paired interval.
What it may lose is bounded with 95% confidence: a quantised model that changes no answer passes on
few examples, one that changes many needs many to show that these even out.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from welltuned.deployment.export.base import ExportJob
from welltuned.deployment.export.proof_data import MOST, ProofData
from welltuned.engines.device import autocast
from welltuned.errors import Fault, Place, RunFailed
from welltuned.evaluation.predict import predict_outputs
from welltuned.metrics import Metric
from welltuned.metrics.base import Statistic, resampled
from welltuned.metrics.paired import paired_change
from welltuned.runs.environment import processor
from welltuned.runs.export_schema import Agreement, ExportProof, RunningCost, ScoreProof
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    from welltuned.artifact.save_load import Artifact

BATCH = 32
_SINGLE, _MANY = 24, 256
"""Texts that latency and throughput are measured on."""
_ROUNDS = 3
_CONFIDENCE = 95
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Judge:
    """The original's outputs, and what others are held against."""

    artifact: Artifact
    data: ProofData
    validation_NK: np.ndarray
    judged_NK: np.ndarray

    @classmethod
    def of(cls, artifact: Artifact, data: ProofData) -> Judge:
        """Of the tuned model as `predict` runs it."""
        validation_NK = outputs_of(artifact.model, artifact, data.validation)
        same = data.judged is data.validation
        judged_NK = validation_NK if same else outputs_of(artifact.model, artifact, data.judged)
        return cls(artifact, data, validation_NK, judged_NK)

    def agreement(self, model: nn.Module) -> Agreement:
        """How far its outputs are from the original's, on validation."""
        examples = self.data.validation
        outputs_NK = outputs_of(model, self.artifact, examples)
        apart_NK = np.abs(outputs_NK - self.validation_NK)
        return {
            "examples": len(examples),
            "largest": float(apart_NK.max()),
            "mean": float(apart_NK.mean()),
            "same_answers": _same_answers(
                self.artifact.problem, examples, self.validation_NK, outputs_NK
            ),
        }

    def score(self, model: nn.Module, limit: float) -> ScoreProof:
        """What it does to the score, on the split that is judged."""
        examples = self.data.judged
        outputs_NK = outputs_of(model, self.artifact, examples)
        return score_proof(
            self.artifact.problem, examples, self.judged_NK, outputs_NK, self.data.split, limit
        )


def prove_export(model: nn.Module, size: int, judge: Judge, job: ExportJob) -> ExportProof:
    """All that is measured of a model of so many bytes. Raises `RunFailed` beyond the limit."""
    score = judge.score(model, job.drop)
    if score["worst_drop"] > score["limit"]:
        raise RunFailed(drop_beyond_limit(score, "what was written", job.target))
    costs = costs_beside(model, size, judge)
    return {
        "agreement": judge.agreement(model),
        "score": score,
        "original": costs["original"],
        "exported": costs["exported"],
        "attempts": [],
        "processor": processor(),
        "threads": torch.get_num_threads(),
    }


def drop_beyond_limit(score: ScoreProof, recipe: str, target: Path) -> Fault:
    """Why an export is refused: it loses too much, or there are too few examples to show that it
    does not."""
    known: dict[str, object] = {
        "recipe": recipe,
        "worst": score["worst_drop"],
        "metric": score["metric"],
        "examples": score["examples"],
        "split": score["split"],
        "drop": score["drop"],
        "limit": score["limit"],
        "enough": math.ceil(score["worst_drop"] * 10) / 10,
    }
    needed = examples_needed(score)
    if needed is None or needed > MOST:
        return Fault(
            "export.drop_beyond_limit",
            "{recipe} loses {drop:.2f} points of {metric} on {examples:,} examples of {split}, "
            "with 95% confidence at most {worst:.2f}; {limit:g} are allowed, and nothing was "
            "written",
            Place(str(target)),
            "choose a higher precision, or allow as much: limits.drop={enough:g}",
            **known,
        )
    return Fault(
        "export.too_few_examples",
        "{examples:,} examples of {split} are too few to show that {recipe} loses no more than "
        "{limit:g} points of {metric}: {drop:.2f} were measured, and with 95% confidence at most "
        "{worst:.2f} are lost; nothing was written",
        Place(str(target)),
        "judge on about {needed:,} examples, choose a higher precision, or allow as much: "
        "limits.drop={enough:g}",
        needed=needed,
        **known,
    )


def examples_needed(score: ScoreProof) -> int | None:
    """About how many examples would show a loss within the limit, if it is as was measured.

    The bound comes closer to what was measured as the root of their number grows. Two digits,
    rounded up; None where what was measured is beyond the limit itself.
    """
    room = score["limit"] - score["drop"]
    if room <= 0:
        return None
    needed = score["examples"] * ((score["worst_drop"] - score["drop"]) / room) ** 2
    unit = 10 ** max(0, math.floor(math.log10(max(needed, 1))) - 1)
    return math.ceil(needed / unit) * unit


def costs_beside(model: nn.Module, size: int, judge: Judge) -> dict[str, RunningCost]:
    """What answers cost with the `original` and with a model of so many bytes, `exported`."""
    original = judge.artifact.model
    weights = sum(parameter.nbytes for parameter in original.parameters())
    models = {"original": original, "exported": model}
    sizes = {"original": weights, "exported": size}
    return running_costs(models, sizes, judge.artifact, judge.data)


def outputs_of(
    model: nn.Module, artifact: Artifact, examples: Examples, batch_size: int = BATCH
) -> np.ndarray:
    """Outputs (N, …) of a model that takes the artifact's batches."""
    pad_id, precision = artifact.tokenizer.pad_token_id, autocast(artifact.precision, _CPU)
    return predict_outputs(model, artifact.problem, examples, pad_id, batch_size, precision)


def _same_answers(
    problem: Problem, examples: Examples, one_NK: np.ndarray, other_NK: np.ndarray
) -> float | None:
    family = problem.scorer.family
    if family.are_numbers or family.are_pairs:
        return None
    said = [problem.presenter.answers(outputs, examples.records) for outputs in (one_NK, other_NK)]
    same = [a["prediction"] == b["prediction"] for a, b in zip(*said, strict=True)]
    return float(np.mean(same))


def score_proof(
    problem: Problem,
    examples: Examples,
    before_NK: np.ndarray,
    after_NK: np.ndarray,
    split: str,
    limit: float,
) -> ScoreProof:
    """The default score of outputs before and after, and how much of it may be lost."""
    scorer, targets = problem.scorer, examples.targets
    assert targets is not None
    metrics = scorer.family.metrics
    metric = next(one for one in metrics if one.name == scorer.default_metric)
    read = [scorer.read(outputs_NK, targets) for outputs_NK in (before_NK, after_NK)]
    before, after = (metric.statistic(predictions) for predictions in read)
    assert before is not None and after is not None
    drop, worst = points_lost(metric, before, after)
    return {
        "split": split,
        "metric": metric.name,
        "examples": len(examples),
        "change": paired_change(before, after),
        "drop": drop,
        "worst_drop": worst,
        "limit": limit,
    }


def points_lost(metric: Metric, before: Statistic, after: Statistic) -> tuple[float, float]:
    """Points lost, and the most that are with 95% confidence (one-sided, paired bootstrap)."""
    unit = 0.01 if metric.is_share else abs(before.value) / 100 or 1.0
    sign = (-1 if metric.lower_is_better else 1) / unit
    draws_2R = resampled([before, after])
    lost_R = sign * (draws_2R[0] - draws_2R[1])
    drop = sign * (before.value - after.value)
    return float(drop), float(max(drop, np.percentile(lost_R, _CONFIDENCE)))


def running_costs(
    models: Mapping[str, nn.Module], sizes: Mapping[str, int], artifact: Artifact, data: ProofData
) -> dict[str, RunningCost]:
    """What answers of each model cost, measured in alternation; medians over rounds."""
    few, many = _first(data.judged, _SINGLE), _first(data.judged, _MANY)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for round_number in range(_ROUNDS + 1):
        for name, model in models.items():
            found = _seconds(model, artifact, few, 1), _seconds(model, artifact, many, BATCH)
            if round_number:  # the first warms up
                taken[name].append(found)
    return {
        name: {
            "milliseconds": 1000 * statistics.median(single for single, _ in found) / len(few),
            "texts_per_second": len(many) / statistics.median(batched for _, batched in found),
            "bytes": sizes[name],
        }
        for name, found in taken.items()
    }


def _seconds(model: nn.Module, artifact: Artifact, examples: Examples, batch_size: int) -> float:
    start = time.perf_counter()
    outputs_of(model, artifact, examples, batch_size)
    return time.perf_counter() - start


def _first(examples: Examples, number: int) -> Examples:
    return examples.take(range(min(number, len(examples))))
