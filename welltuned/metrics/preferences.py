"""Reward-model metrics: pairwise accuracy, margins and rank correlation.

Pairs of one prompt are not independent: intervals resample prompts, not pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from welltuned.metrics.classification import confidence_gap
from welltuned.metrics.intervals import percentile_interval, resampled_sums
from welltuned.metrics.regression import rank_correlation


def score_pairs(
    differences_Q: np.ndarray, prompts_Q: np.ndarray, intervals: bool
) -> dict[str, Any]:
    """How well rewards order Q pairs, by the better response's reward less the worse one's.

    `prompts_Q` numbers the prompt of each pair. Equal rewards are half right. The
    calibration error and the loss are those of sigmoid(difference), read as the chance
    that the better response is the better one.
    """
    differences_Q = differences_Q.astype(np.float64)
    right_Q = _right(differences_Q)
    scores: dict[str, Any] = {
        "pair_accuracy": float(right_Q.mean()),
        "margin": float(differences_Q.mean()),
        "log_loss": float(np.logaddexp(0, -differences_Q).mean()),
        "calibration_error": confidence_gap(sigmoid(np.abs(differences_Q)), right_Q),
        "pairs": len(differences_Q),
    }
    if intervals:
        _, prompt_Q = np.unique(prompts_Q, return_inverse=True)
        sums_P3 = np.zeros((int(prompt_Q.max()) + 1, 3))
        ones_Q = np.ones(len(right_Q))
        np.add.at(sums_P3, prompt_Q, np.stack([right_Q, differences_Q, ones_Q], axis=1))
        right_R, difference_R, number_R = resampled_sums(sums_P3).T
        scores["pair_accuracy_ci95"] = percentile_interval(right_R / number_R)
        scores["margin_ci95"] = percentile_interval(difference_R / number_R)
    return scores


def share_right(differences_Q: np.ndarray) -> float:
    """In which share of pairs the better response has the higher reward."""
    return float(_right(differences_Q).mean())


def _right(differences_Q: np.ndarray) -> np.ndarray:
    return np.where(differences_Q == 0, 0.5, differences_Q > 0)


def score_lengths(
    rewards_M: np.ndarray,
    lengths_M: np.ndarray,
    differences_Q: np.ndarray,
    longer_Q: np.ndarray,
) -> dict[str, Any]:
    """Whether rewards go with the length of responses.

    Their rank correlation over all responses; and in which share of the pairs that differ
    in length the longer response gets the higher reward. `longer_Q` is the better
    response's length less the worse one's.
    """
    scores = {"length_correlation": rank_correlation(lengths_M, rewards_M)}
    if longer_Q.any():
        agree_Q = np.sign(differences_Q * longer_Q)[longer_Q != 0]
        scores["longer_preferred"] = float((1 + agree_Q).mean() / 2)
    return scores


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -values))
