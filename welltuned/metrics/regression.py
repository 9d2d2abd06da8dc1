"""Regression metrics with 95% bootstrap intervals.

Values are those of scikit-learn and SciPy to the last bit, without the checks of arguments that
would take most of the time of a thousand resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from welltuned.metrics.base import Metric, Predictions, Rows, Statistic, mean_of, ratio
from welltuned.metrics.intervals import bootstrap_draws


@dataclass(frozen=True)
class NumberPredictions(Predictions):
    """A number for each example."""

    name: ClassVar[str] = "number"
    default_metric: ClassVar[str] = "r2"
    are_numbers: ClassVar[bool] = True

    true_N: np.ndarray
    said_N: np.ndarray

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        return cls(
            np.array([row["label"] for row in rows], dtype=np.float64),
            np.array([row["prediction"] for row in rows], dtype=np.float64),
        )

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """The predictions that are furthest off."""
        return sorted(rows, key=lambda row: -abs(row["prediction"] - row["label"]))[:limit]


def _r2(predictions: NumberPredictions) -> Statistic:
    true_N, said_N = predictions.true_N, predictions.said_N
    centred_N = true_N - true_N.mean()  # sums of squares of large numbers would cancel

    def measure(sums_RM: np.ndarray) -> np.ndarray:
        error, square, plain, count = sums_RM.T
        spread = square - plain**2 / count
        return 1 - np.divide(error, spread, out=np.ones(len(error)), where=spread > 0)

    parts = [(true_N - said_N) ** 2, centred_N**2, centred_N, np.ones(len(true_N))]
    return Statistic(np.stack(parts, axis=1), measure)


def _mae(predictions: NumberPredictions) -> Statistic:
    return mean_of(np.abs(predictions.true_N - predictions.said_N))


def _rmse(predictions: NumberPredictions) -> Statistic:
    squares = mean_of((predictions.true_N - predictions.said_N) ** 2)
    return Statistic(squares.parts_NM, lambda sums: np.sqrt(ratio(sums)))


def _spearman(predictions: NumberPredictions) -> Statistic:
    """The correlation of ranks, which stay those of all examples in every resample."""
    middle = (len(predictions.true_N) + 1) / 2
    x, y = (_ranks(side) - middle for side in (predictions.true_N, predictions.said_N))

    def measure(sums_RM: np.ndarray) -> np.ndarray:
        sx, sy, sxx, syy, sxy, count = sums_RM.T
        covariance = sxy - sx * sy / count
        spread = np.sqrt(np.maximum((sxx - sx**2 / count) * (syy - sy**2 / count), 0))
        return np.divide(covariance, spread, out=np.zeros(len(sx)), where=spread > 0)

    return Statistic(np.stack([x, y, x * x, y * y, x * y, np.ones(len(x))], axis=1), measure)


# --- Functions of arrays --------------------------------------------------------------


def r2(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    """The share of the variance that is explained; 0 when all labels are the same."""
    if np.ptp(labels_N) == 0:
        return 0.0
    labels_N = labels_N.astype(np.result_type(labels_N, predictions_N))  # of the finer of the two
    error = ((labels_N - predictions_N) ** 2).sum()
    return float(1 - error / ((labels_N - labels_N.mean()) ** 2).sum())


def mean_absolute_error(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    return float(np.abs(labels_N - predictions_N).mean())


def root_mean_squared_error(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    return float(np.sqrt(((labels_N - predictions_N) ** 2).mean()))


def rank_correlation(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    """Spearman's rank correlation; 0 when a side is constant."""
    if np.ptp(labels_N) == 0 or np.ptp(predictions_N) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(labels_N), _ranks(predictions_N))[1, 0])


def _ranks(values_N: np.ndarray) -> np.ndarray:
    """Ranks from 1 (N); equal values share the mean of theirs."""
    _, place_N, count_M = np.unique(values_N, return_inverse=True, return_counts=True)
    return (np.cumsum(count_M) - (count_M - 1) / 2)[place_N]


Measure = Callable[[np.ndarray, np.ndarray], float]


def _compute(measure: Measure, predictions: NumberPredictions) -> float:
    return measure(predictions.true_N, predictions.said_N)


def _resample(measure: Measure, predictions: NumberPredictions) -> np.ndarray:
    return bootstrap_draws(measure, predictions.true_N, predictions.said_N)


def _metric(
    name: str,
    title: str,
    statistic: Callable[[NumberPredictions], Statistic],
    measure: Measure,
    **traits: Any,
) -> Metric:
    compute, resample = partial(_compute, measure), partial(_resample, measure)
    return Metric(name, title, statistic, compute, resample, **traits)


_ERROR = {"lower_is_better": True, "bounds": (0.0, np.inf)}

NumberPredictions.scored_by(
    _metric("r2", "R²", _r2, r2, bounds=(-np.inf, 1.0)),
    _metric("mae", "mean absolute error", _mae, mean_absolute_error, **_ERROR),
    _metric("rmse", "root mean squared error", _rmse, root_mean_squared_error, **_ERROR),
    _metric("spearman", "Spearman", _spearman, rank_correlation, bounds=(-1.0, 1.0)),
)
