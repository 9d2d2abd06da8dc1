"""Classification metrics with 95% bootstrap intervals.

Scores are scikit-learn's to the last bit; it checks its arguments for longer than the sums take,
a thousand times an interval, so the sums are taken here. The intervals resample test examples; for
scores that depend only on how often each (label, prediction) pair occurs, a
resample of N examples is one multinomial draw of the confusion matrix, which
makes a thousand of them cost next to nothing and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from welltuned.metrics.base import (
    Metric,
    Predictions,
    Rows,
    Scores,
    Statistic,
    class_counts,
    f1,
    mean_f1,
    mean_of,
    single_f1,
)
from welltuned.metrics.calibration import BINS, calibration_statistic
from welltuned.metrics.intervals import RESAMPLES

_LEAST_WRITTEN = 1e-6
"""Probabilities are written with six digits."""
_LEAST = np.finfo(np.float64).eps
"""No probability counts as less, so that no loss is infinite."""


# --- One label ------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """One class for each example, with the probability of every class."""

    name: ClassVar[str] = "single_label"
    default_metric: ClassVar[str] = "macro_f1"
    has_confidence: ClassVar[bool] = True
    has_label_probabilities: ClassVar[bool] = True

    true_N: np.ndarray
    said_N: np.ndarray
    probabilities_NK: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, true_N: np.ndarray, probabilities_NK: np.ndarray, names: Sequence[str]) -> Self:
        """Each prediction is the likeliest class."""
        return cls(true_N, probabilities_NK.argmax(axis=1), probabilities_NK, tuple(names))

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        number = {label: k for k, label in enumerate(labels)}
        return cls(
            np.array([number[row["label"]] for row in rows]),
            np.array([number[row["prediction"]] for row in rows]),
            np.array([[row["probabilities"][label] for label in labels] for row in rows]),
            tuple(labels),
        )

    @cached_property
    def confusion_KK(self) -> np.ndarray:
        """Rows: truth."""
        number = len(self.names)
        pairs_N = self.true_N * number + self.said_N
        return np.bincount(pairs_N, minlength=number**2).reshape(number, number)

    @cached_property
    def by_class(self) -> tuple[np.ndarray, ...]:
        """Precision, recall, F1 and support, (K) each."""
        counts_KK = self.confusion_KK
        return class_scores(counts_KK.diagonal(), counts_KK.sum(axis=1), counts_KK.sum(axis=0))

    @cached_property
    def resampled_confusions(self) -> np.ndarray:
        """(R, K, K)"""
        total = int(self.confusion_KK.sum())
        shares = self.confusion_KK.ravel() / total
        drawn = np.random.default_rng(0).multinomial(total, shares, size=RESAMPLES)
        return drawn.reshape(RESAMPLES, *self.confusion_KK.shape)

    def details(self) -> Scores:
        """Each class's own scores, the confusion matrix, and how many classes are predicted."""
        return {
            "per_class": _per_class(self.names, self.by_class),
            "confusion": self.confusion_KK.tolist(),
            "classes_predicted": int((self.confusion_KK.sum(axis=0) > 0).sum()),
        }

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """Where the model is wrong and most sure of it."""
        wrong = [row for row in rows if row["prediction"] != row["label"]]
        return sorted(wrong, key=lambda row: -row["probabilities"][row["prediction"]])[:limit]


def _per_class(names: Sequence[str], by_class: tuple[np.ndarray, ...]) -> Scores:
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
        for name, p, r, f, s in zip(names, *by_class, strict=True)
    }


def _accuracy(predictions: ClassPredictions) -> Statistic:
    return mean_of((predictions.true_N == predictions.said_N).astype(float))


def _macro_f1(predictions: ClassPredictions) -> Statistic:
    classes_K = np.arange(len(predictions.names))
    true_NK = predictions.true_N[:, None] == classes_K
    said_NK = predictions.said_N[:, None] == classes_K
    return Statistic(class_counts(true_NK, said_NK), mean_f1)


def _log_loss(predictions: ClassPredictions) -> Statistic:
    rows_N = np.arange(len(predictions.true_N))
    true_N = predictions.probabilities_NK[rows_N, predictions.true_N]
    return mean_of(-np.log(np.maximum(true_N, _LEAST_WRITTEN)))


def _compute_log_loss(predictions: ClassPredictions) -> float:
    rows_N = np.arange(len(predictions.true_N))
    true_N = predictions.probabilities_NK[rows_N, predictions.true_N].astype(np.float64)
    return float(-np.log(np.clip(true_N, _LEAST, 1 - _LEAST)).mean())


def _calibration(predictions: ClassPredictions) -> Statistic:
    right_N = predictions.true_N == predictions.probabilities_NK.argmax(axis=1)
    return calibration_statistic(predictions.probabilities_NK.max(axis=1), right_N)


def _resampled_accuracy(predictions: ClassPredictions) -> np.ndarray:
    draws_RKK = predictions.resampled_confusions
    return draws_RKK.trace(axis1=1, axis2=2) / predictions.confusion_KK.sum()


ClassPredictions.scored_by(
    Metric(
        name="accuracy",
        title="accuracy",
        statistic=_accuracy,
        compute=lambda predictions: float((predictions.true_N == predictions.said_N).mean()),
        resample=_resampled_accuracy,
    ),
    Metric(
        name="macro_f1",
        title="macro-F1",
        statistic=_macro_f1,
        compute=lambda predictions: float(predictions.by_class[2].mean()),
        resample=lambda predictions: macro_f1(predictions.resampled_confusions),
    ),
    Metric(
        name="calibration_error",
        title="calibration error",
        statistic=_calibration,
        compute=lambda predictions: calibration_error(
            predictions.true_N, predictions.probabilities_NK
        ),
        has_interval=False,
        lower_is_better=True,
    ),
    Metric(
        name="log_loss",
        title="log loss",
        statistic=_log_loss,
        compute=_compute_log_loss,
        has_interval=False,
        lower_is_better=True,
        bounds=(0.0, np.inf),
    ),
)


# --- Several labels -------------------------------------------------------------------


@dataclass(frozen=True)
class LabelSetPredictions(Predictions):
    """Any number of classes for each example."""

    name: ClassVar[str] = "multi_label"
    default_metric: ClassVar[str] = "macro_f1"
    has_label_probabilities: ClassVar[bool] = True

    true_NK: np.ndarray
    said_NK: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, true_NK: np.ndarray, probabilities_NK: np.ndarray, names: Sequence[str]) -> Self:
        """Predicted is what has a probability of more than one half."""
        return cls(true_NK > 0.5, probabilities_NK > 0.5, tuple(names))

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        true = np.array([[label in row["label"] for label in labels] for row in rows])
        said = np.array([[label in row["prediction"] for label in labels] for row in rows])
        return cls(true, said, tuple(labels))

    @cached_property
    def by_class(self) -> tuple[np.ndarray, ...]:
        """Precision, recall, F1 and support, (K) each."""
        return class_scores(*_counts(self.true_NK, self.said_NK).T)

    @cached_property
    def draws(self) -> list[np.ndarray]:
        """R resamples of the examples, (N) each."""
        random, number = np.random.default_rng(0), len(self.true_NK)
        return [random.integers(0, number, number) for _ in range(RESAMPLES)]

    @cached_property
    def resampled_counts(self) -> np.ndarray:
        """Per class: hits, how often true, how often predicted (R, K, 3)."""
        return np.stack([_counts(self.true_NK[rows], self.said_NK[rows]) for rows in self.draws])

    def details(self) -> Scores:
        """Each class's own scores, and how many classes are predicted."""
        return {
            "per_class": _per_class(self.names, self.by_class),
            "classes_predicted": int(self.said_NK.any(axis=0).sum()),
        }

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """Where most labels are wrong."""
        wrong = [row for row in rows if row["prediction"] != row["label"]]
        wrong.sort(key=lambda row: -len(set(row["prediction"]) ^ set(row["label"])))
        return wrong[:limit]


def _counts(true_NK: np.ndarray, said_NK: np.ndarray) -> np.ndarray:
    hits_NK = true_NK & said_NK
    return np.stack([part.sum(axis=0) for part in (hits_NK, true_NK, said_NK)], axis=1)


def _micro_f1(predictions: LabelSetPredictions) -> Statistic:
    true_NK, said_NK = predictions.true_NK, predictions.said_NK
    counts = [part.sum(axis=1) for part in (true_NK & said_NK, true_NK, said_NK)]
    return Statistic(np.stack(counts, axis=1).astype(np.float64), single_f1)


def _matches(predictions: LabelSetPredictions) -> np.ndarray:
    return (predictions.true_NK == predictions.said_NK).all(axis=1)


def _resampled_matches(predictions: LabelSetPredictions) -> np.ndarray:
    matches_N = _matches(predictions)
    return np.array([matches_N[rows].mean() for rows in predictions.draws])


LabelSetPredictions.scored_by(
    Metric(
        name="micro_f1",
        title="micro-F1",
        statistic=_micro_f1,
        compute=lambda predictions: float(
            f1(*_counts(predictions.true_NK, predictions.said_NK).sum(axis=0))
        ),
        resample=lambda predictions: f1(*predictions.resampled_counts.sum(axis=1).T),
    ),
    Metric(
        name="macro_f1",
        title="macro-F1",
        statistic=lambda predictions: Statistic(
            class_counts(predictions.true_NK, predictions.said_NK), mean_f1
        ),
        compute=lambda predictions: float(predictions.by_class[2].mean()),
        resample=lambda predictions: f1(*np.moveaxis(predictions.resampled_counts, 2, 0)).mean(
            axis=1
        ),
    ),
    Metric(
        name="exact_match",
        title="exact match",
        statistic=lambda predictions: mean_of(_matches(predictions).astype(float)),
        compute=lambda predictions: float(_matches(predictions).mean()),
        resample=_resampled_matches,
    ),
)


# --- Functions of arrays --------------------------------------------------------------


def class_scores(hits: np.ndarray, true: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, ...]:
    """Precision, recall, F1 and support of each class, (K) each; 0 where there is nothing."""
    return _share(hits, said), _share(hits, true), f1(hits, true, said), true


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def calibration_error(
    labels_N: np.ndarray, probabilities_NK: np.ndarray, bins: int = BINS
) -> float:
    """Expected calibration error (Guo et al. 2017).

    The mean gap between confidence and accuracy over ten bins of confidence.
    """
    right_N = probabilities_NK.argmax(axis=1) == labels_N
    return confidence_gap(probabilities_NK.max(axis=1), right_N, bins)


def confidence_gap(confidence_N: np.ndarray, right_N: np.ndarray, bins: int = BINS) -> float:
    """The mean gap, over bins of confidence, between confidence and how often it is right."""
    bin_N = np.minimum((confidence_N * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence_N[bin_N == b].mean() - right_N[bin_N == b].mean()) * (bin_N == b).mean()
        for b in np.unique(bin_N)
    ]
    return float(sum(gaps))


def macro_f1(confusions_RKK: np.ndarray) -> np.ndarray:
    """The macro-F1 of each of R confusion matrices (rows: truth).

    A class that is neither there nor predicted scores 0.
    """
    hits = np.diagonal(confusions_RKK, axis1=1, axis2=2)
    return f1(hits, confusions_RKK.sum(axis=2), confusions_RKK.sum(axis=1)).mean(axis=1)
