"""Percentile bootstrap intervals (Efron 1979).

Resample the test examples, look at the middle 95%.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
"""Resamples per interval.
All are drawn from one fixed seed: the same predictions give the same interval."""


def percentile_interval(draws_R: np.ndarray) -> list[float]:
    """The 2.5th and 97.5th percentile of resampled scores."""
    return [float(bound) for bound in np.percentile(draws_R, [2.5, 97.5])]


def interval_at_bound(share: float, number: int) -> list[float]:
    """The exact 95% interval of a share of 0 or 1 in `number` examples (Clopper & Pearson 1934).

    No resample of such examples differs from another, so the bootstrap knows nothing of it.
    """
    reach = 0.025 ** (1 / number)
    return [reach, 1.0] if share else [0.0, 1.0 - reach]


def bootstrap_interval(
    measure: Callable[[np.ndarray, np.ndarray], float],
    labels_N: np.ndarray,
    predictions_N: np.ndarray,
) -> list[float]:
    """The interval of any measure of (labels, predictions)."""
    return percentile_interval(bootstrap_draws(measure, labels_N, predictions_N))


def bootstrap_draws(
    measure: Callable[[np.ndarray, np.ndarray], float],
    labels_N: np.ndarray,
    predictions_N: np.ndarray,
) -> np.ndarray:
    """Any measure of (labels, predictions) in each of R resamples of the examples."""
    random = np.random.default_rng(0)
    draws = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(labels_N), len(labels_N))
        draws.append(measure(labels_N[rows], predictions_N[rows]))
    return np.array(draws)


def resampled_sums(numbers: np.ndarray) -> np.ndarray:
    """Sums (R, …) of what each of N examples adds up to (N, …), for every resample of them."""
    random = np.random.default_rng(0)
    flat_NM = numbers.reshape(len(numbers), -1)
    drawn = [random.integers(0, len(flat_NM), len(flat_NM)) for _ in range(RESAMPLES)]
    sums = [np.bincount(rows, minlength=len(flat_NM)) @ flat_NM for rows in drawn]
    return np.stack(sums).reshape(RESAMPLES, *numbers.shape[1:])
