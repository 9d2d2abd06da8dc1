"""Percentile bootstrap intervals (Efron 1979): resample the test examples, look at the middle 95%."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
"""Resamples per interval. All are drawn from one fixed seed: the same predictions give the same interval."""


def percentile_interval(draws_R: np.ndarray) -> list[float]:
    """The 2.5th and 97.5th percentile of resampled scores."""
    return [float(bound) for bound in np.percentile(draws_R, [2.5, 97.5])]


def bootstrap_interval(measure: Callable[[np.ndarray, np.ndarray], float], labels_N: np.ndarray, predictions_N: np.ndarray) -> list[float]:
    """The interval of any measure of (labels, predictions)."""
    random = np.random.default_rng(0)
    draws = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(labels_N), len(labels_N))
        draws.append(measure(labels_N[rows], predictions_N[rows]))
    return percentile_interval(np.array(draws))
