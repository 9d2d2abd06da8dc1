"""Thresholds of several labels: the probability above which each is predicted.

For F1 the best one lies below one half, by as much as the label is hard to tell (Lipton et al.
2014, arXiv 1402.1892); for costs it is where both errors cost the same. Both are found on
validation by trying every threshold that changes an answer. A label of few examples would only
learn its noise (Fan & Lin 2007, A study on threshold selection for multi-label classification): for
F1 such labels share one threshold, and for costs theirs is what follows from the costs if
probabilities are true.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

FEWEST = 20
"""Examples of validation that must have a label, and that must not, for a threshold of its own.

Of 1, 5, 10, 20 and never, it has the best macro-F1 on new texts (`benchmarks/decision_rules.py
--parts planted`): 0.36 where 5 has 0.34 with 300 validation examples, and the same with 1,000."""
HALF = 0.5
_EQUAL = 1e-12

Worth = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""How good it is, from hits and predictions at each of some thresholds, and truths."""


def too_few(true_NK: np.ndarray, fewest: int = FEWEST) -> np.ndarray:
    """Which labels (K, bool) too few examples have, or lack."""
    count_K = true_NK.sum(axis=0)
    return np.minimum(count_K, len(true_NK) - count_K) < fewest


def f1_thresholds(
    probabilities_NK: np.ndarray, true_NK: np.ndarray, fewest: int = FEWEST
) -> tuple[float, ...]:
    """Each label's threshold (K) for its F1; labels of few examples share one."""
    few_K = too_few(true_NK, fewest)
    shared = HALF
    if few_K.any():
        shared = best_threshold(probabilities_NK[:, few_K], true_NK[:, few_K], f1_worth)
    return tuple(
        shared if few else best_threshold(chances_N, true_N, f1_worth)
        for few, chances_N, true_N in zip(few_K, probabilities_NK.T, true_NK.T, strict=True)
    )


def cost_thresholds(
    probabilities_NK: np.ndarray, true_NK: np.ndarray, costs_K2: Sequence[tuple[float, float]]
) -> tuple[float, ...]:
    """Each label's threshold (K) for the least cost of its (false negatives, false positives)."""
    return tuple(
        neutral_threshold(costs) if few else best_threshold(chances_N, true_N, cost_worth(costs))
        for few, chances_N, true_N, costs in zip(
            too_few(true_NK), probabilities_NK.T, true_NK.T, costs_K2, strict=True
        )
    )


def neutral_threshold(costs: tuple[float, float]) -> float:
    """Where both errors are expected to cost the same, if probabilities are true (Elkan 2001)."""
    missed, alarm = costs
    return alarm / (alarm + missed)


def best_threshold(probabilities: np.ndarray, true: np.ndarray, worth: Worth) -> float:
    """The threshold of greatest worth for flags of any shape; of equal ones the nearest to a half.

    It lies midway between two probabilities that occur, so that no answer hangs on rounding.
    """
    chances_M, true_M = probabilities.ravel(), true.ravel()
    order_M = np.argsort(-chances_M, kind="stable")
    sorted_M = chances_M[order_M]
    edges = np.concatenate([[1.0], sorted_M, [0.0]])
    thresholds = (edges[1:] + edges[:-1]) / 2
    changes = np.concatenate([[True], sorted_M[1:] < sorted_M[:-1], [True]])
    hits = np.concatenate([[0], np.cumsum(true_M[order_M])])
    values = worth(hits, np.arange(len(hits)), int(true_M.sum()))[changes]
    best = thresholds[changes][values >= values.max() - _EQUAL]
    return float(best[np.abs(best - HALF).argmin()])


def f1_worth(hits: np.ndarray, predicted: np.ndarray, positives: int) -> np.ndarray:
    return 2 * hits / np.maximum(predicted + positives, 1)


def cost_worth(costs: tuple[float, float]) -> Worth:
    missed, alarm = costs
    return lambda hits, predicted, positives: (
        -missed * (positives - hits) - alarm * (predicted - hits)
    )
