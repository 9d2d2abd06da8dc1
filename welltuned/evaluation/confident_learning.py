"""Confident learning: which given labels are wrong, from probabilities of a model that never saw
them (Northcutt, Jiang & Chuang 2021, arXiv 1911.00068).

A class is believed confidently where its probability reaches its threshold: the mean probability
that examples labelled so have for it. Who is confidently believed to be of another class than its
label says stands off the diagonal of the confident joint, which counts (label, believed class).

The ranking is by the margin of the label over the likeliest other class, each less its threshold,
so that the examples of a rare class, which are believed less anyway, do not all come first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelCheck:
    """What confident learning makes of N labels of K classes."""

    margin_N: np.ndarray
    """How far the label is believed beyond the likeliest other; the least is most doubtful."""
    other_N: np.ndarray
    """That other class."""
    is_doubtful_N: np.ndarray
    """Whether the example stands off the diagonal of the confident joint."""
    joint_KK: np.ndarray
    """How many examples of each label (rows) belong to each class, as estimated; sums to N."""

    @property
    def expected(self) -> float:
        """How many labels are wrong, as estimated. What the model itself gets wrong and is sure
        of counts too, so a weak model expects too many."""
        return float(self.joint_KK.sum() - self.joint_KK.trace())


def check_labels(probabilities_NK: np.ndarray, given_N: np.ndarray) -> LabelCheck:
    """Judge labels (N, int) by probabilities (N, K) from models that did not learn from them."""
    rows_N, classes = np.arange(len(given_N)), probabilities_NK.shape[1]
    threshold_K = thresholds(probabilities_NK, given_N)
    beyond_NK = probabilities_NK - np.where(np.isfinite(threshold_K), threshold_K, 1.0)
    others_NK = beyond_NK.copy()
    others_NK[rows_N, given_N] = -np.inf
    other_N = others_NK.argmax(axis=1)
    believed_N = _believed(probabilities_NK, threshold_K)
    is_doubtful_N = (believed_N >= 0) & (believed_N != given_N)
    return LabelCheck(
        margin_N=beyond_NK[rows_N, given_N] - others_NK[rows_N, other_N],
        other_N=np.where(is_doubtful_N, believed_N, other_N),
        is_doubtful_N=is_doubtful_N,
        joint_KK=_joint(believed_N, given_N, classes),
    )


def thresholds(probabilities_NK: np.ndarray, given_N: np.ndarray) -> np.ndarray:
    """The mean probability (K) of each class among examples labelled so; infinite without any."""
    counts_K = np.bincount(given_N, minlength=probabilities_NK.shape[1])
    own_N = probabilities_NK[np.arange(len(given_N)), given_N]
    sums_K = np.bincount(given_N, weights=own_N, minlength=len(counts_K))
    return np.divide(sums_K, counts_K, out=np.full(len(counts_K), np.inf), where=counts_K > 0)


def _believed(probabilities_NK: np.ndarray, threshold_K: np.ndarray) -> np.ndarray:
    """The likeliest class (N) of those that reach their threshold; -1 where none does."""
    reached_NK = np.where(probabilities_NK >= threshold_K, probabilities_NK, -1.0)
    believed_N = reached_NK.argmax(axis=1)
    return np.where(reached_NK.max(axis=1) >= 0, believed_N, -1)


def _joint(believed_N: np.ndarray, given_N: np.ndarray, classes: int) -> np.ndarray:
    """The confident joint (K, K), its rows brought to the number of examples with each label.

    A label of which nothing is believed confidently keeps all its examples.
    """
    sure_N = believed_N >= 0
    pairs = given_N[sure_N] * classes + believed_N[sure_N]
    counts_KK = np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(float)
    empty_K = counts_KK.sum(axis=1) == 0
    counts_KK[empty_K, empty_K] = 1.0
    given_K = np.bincount(given_N, minlength=classes)
    shares_KK = counts_KK / counts_KK.sum(axis=1, keepdims=True)
    return np.asarray(shares_KK * given_K[:, None])
