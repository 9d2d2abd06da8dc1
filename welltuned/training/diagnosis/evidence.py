"""Evidence for a diagnosis: the curves and scores of a run folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from welltuned.metrics import lower_is_better
from welltuned.runs.results_schema import AnswerEnd, KnownSoFar, Scores


@dataclass(frozen=True)
class Score:
    """A score and the interval it lies in; both signed so that more is better."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Its standard error, as the 95% interval tells it."""
        return (self.high - self.low) / (2 * 1.96)


@dataclass(frozen=True)
class Evidence:
    """The evidence of one run."""

    losses: np.ndarray
    """Training losses as logged (N)."""
    steps: np.ndarray
    """The optimizer step of each (N)."""
    rates: np.ndarray
    """The learning rate at each (N)."""
    validation_losses: np.ndarray
    """The validation split's loss at each evaluation; empty where the task has none."""
    validation_scores: np.ndarray
    """The selection metric at each evaluation, signed."""
    metric: str
    guess: float | None
    """The score of the majority baseline (ignoring the input), signed; None where there is none."""
    train: Score | None
    validation: Score | None
    predicted_share: float
    """The share of validation predictions that name the most predicted class; 0 without classes."""
    true_share: float
    """How often that class is right."""
    predicted: str
    """That class."""
    answer_end: AnswerEnd | None = None
    """Of a model that writes text: whether an answer of its own ended."""

    @property
    def way(self) -> np.ndarray:
        """How far learning had come at each row (N), from 0 to 1: the sum of the learning rates.

        Over steps, a schedule that ends at zero makes every curve flat at its end.
        """
        far = np.cumsum(self.rates * np.diff(self.steps, prepend=0.0))
        return far / far[-1]

    @property
    def skill(self) -> float | None:
        """How far the training score is on the way from guessing to perfect."""
        if self.train is None or self.guess is None or self.guess >= 1:
            return None
        return (self.train.value - self.guess) / (1 - self.guess)


def gather(metrics: Sequence[dict[str, Any]], results: KnownSoFar) -> Evidence:
    """The evidence in a run folder."""
    train = [row for row in metrics if row["split"] == "train" and "loss" in row]
    validation = [row for row in metrics if row["split"] == "validation"]
    metric = results.get("metric", "loss")
    sign = -1.0 if lower_is_better(metric) else 1.0
    loss = "log_loss" if any("log_loss" in row for row in validation) else "loss"
    guess = results.get("baselines", {}).get("majority", {}).get(metric)
    predicted, predicted_share, true_share = _most_predicted(results.get("validation", {}))
    return Evidence(
        losses=_numbers(row["loss"] for row in train),
        steps=_numbers(row["step"] for row in train),
        rates=_numbers(row.get("learning_rate", 1.0) for row in train),
        validation_losses=_numbers(row[loss] for row in validation if loss in row),
        validation_scores=sign * _numbers(row[metric] for row in validation if metric in row),
        metric=metric,
        guess=sign * guess if guess is not None and sign > 0 else None,
        train=_score(results.get("train", {}), metric, sign),
        validation=_score(results.get("validation", {}), metric, sign),
        predicted_share=predicted_share,
        true_share=true_share,
        predicted=predicted,
        answer_end=results.get("answer_end"),
    )


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    """JSON's null, which stands for what is not finite, becomes NaN."""
    return np.array([math.nan if value is None else float(value) for value in values])


def _score(scores: Scores, metric: str, sign: float) -> Score | None:
    interval = scores.get(f"{metric}_ci95")
    if interval is None or scores.get(metric) is None:
        return None
    low, high = sorted(sign * bound for bound in interval)
    return Score(sign * scores[metric], low, high)


def _most_predicted(scores: Scores) -> tuple[str, float, float]:
    """(class, share of the predictions that name it, share of the truth that does)."""
    if "confusion" not in scores:
        return "", 0.0, 0.0
    confusion_KK = np.array(scores["confusion"], dtype=float)
    names = list(scores["per_class"])
    most = int(confusion_KK.sum(axis=0).argmax())
    total = confusion_KK.sum()
    return (
        names[most],
        float(confusion_KK[:, most].sum() / total),
        float(confusion_KK[most].sum() / total),
    )
