"""Regression metrics with 95% bootstrap intervals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

from welltuned.metrics.intervals import bootstrap_interval


def score_regression(
    labels_N: np.ndarray, predictions_N: np.ndarray, intervals: bool
) -> dict[str, Any]:
    """R², mean absolute error, root mean squared error and Spearman's rank correlation.

    The correlation is 0 when a side is constant.
    """
    measures = {"r2": _r2, "mae": _mae, "rmse": _rmse, "spearman": rank_correlation}
    scores: dict[str, Any] = {
        name: measure(labels_N, predictions_N) for name, measure in measures.items()
    }
    if intervals:
        scores |= {
            f"{name}_ci95": bootstrap_interval(measure, labels_N, predictions_N)
            for name, measure in measures.items()
        }
    return scores


def _r2(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    return float(metrics.r2_score(labels_N, predictions_N)) if np.ptp(labels_N) > 0 else 0.0


def _mae(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    return float(metrics.mean_absolute_error(labels_N, predictions_N))


def _rmse(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    return float(metrics.root_mean_squared_error(labels_N, predictions_N))


def rank_correlation(labels_N: np.ndarray, predictions_N: np.ndarray) -> float:
    """Spearman's rank correlation; 0 when a side is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        return float(np.nan_to_num(stats.spearmanr(labels_N, predictions_N).statistic))
