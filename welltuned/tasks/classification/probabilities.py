"""From logits to probabilities: of one class among several, or of each label by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_MOST = 700.0
"""The exponential of more is no number."""


@dataclass(frozen=True)
class Link:
    """How logits become probabilities, and what that costs in likelihood."""

    probabilities: Callable[[np.ndarray], np.ndarray]
    """(N, K, float64) of logits (N, K)."""
    log_partition: Callable[[np.ndarray], float]
    """The log-likelihood of truths y is Σ y · logits less this."""
    unsure: Callable[[int], float]
    """What one who knows nothing says of each of K labels."""


def class_probabilities(outputs_NK: np.ndarray) -> np.ndarray:
    """The softmax (N, K, float64) of logits."""
    outputs_NK = outputs_NK.astype(np.float64)
    exponents_NK = np.exp(outputs_NK - outputs_NK.max(axis=1, keepdims=True))
    return exponents_NK / exponents_NK.sum(axis=1, keepdims=True)


def label_probabilities(outputs_NK: np.ndarray) -> np.ndarray:
    """The sigmoid (N, K, float64) of logits."""
    return 1 / (1 + np.exp(-np.clip(outputs_NK.astype(np.float64), -_MOST, _MOST)))


SOFTMAX = Link(
    class_probabilities,
    lambda logits_NK: float(np.logaddexp.reduce(logits_NK, axis=1).sum()),
    lambda labels: 1 / labels,
)
SIGMOID = Link(
    label_probabilities,
    lambda logits_NK: float(np.logaddexp(0.0, logits_NK).sum()),
    lambda labels: 0.5,
)
