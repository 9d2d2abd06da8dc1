"""Calibration: whether what is said to be true in seven of ten cases is true in seven of ten."""

from __future__ import annotations

import numpy as np

from welltuned.metrics.base import Statistic

BINS = 10


def calibration_statistic(
    probabilities: np.ndarray, came_true: np.ndarray, bins: int = BINS
) -> Statistic:
    """The expected calibration error (Guo et al. 2017, arXiv 1706.04599).

    The mean gap over bins of probability between it and how often it came true, of one probability
    an example (N) or of several (N, K).
    """
    number = len(probabilities)
    probabilities_NK = probabilities.reshape(number, -1)
    bins_NK = np.minimum((probabilities_NK * bins).astype(int), bins - 1)
    rows_N1 = np.arange(number)[:, None]
    parts_NM = np.zeros((number, 2 * bins))
    np.add.at(parts_NM, (rows_N1, bins_NK), probabilities_NK)
    np.add.at(parts_NM, (rows_N1, bins + bins_NK), came_true.reshape(number, -1))

    def gaps(sums_RM: np.ndarray) -> np.ndarray:
        gaps_RB = np.abs(sums_RM[:, :bins] - sums_RM[:, bins:])
        return gaps_RB.sum(axis=1) / probabilities_NK.size

    return Statistic(parts_NM, gaps)
