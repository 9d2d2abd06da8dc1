"""Classification metrics with 95% bootstrap intervals.

scikit-learn defines the scores. The intervals resample test examples; for
scores that depend only on how often each (label, prediction) pair occurs, a
resample of N examples is one multinomial draw of the confusion matrix, which
makes a thousand of them cost next to nothing and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from welltuned.metrics.intervals import RESAMPLES, percentile_interval

Scores = dict[str, Any]


def score_single_label(
    labels_N: np.ndarray, probabilities_NK: np.ndarray, names: Sequence[str], intervals: bool
) -> Scores:
    """Accuracy, macro-F1, calibration, per-class scores and the confusion matrix (rows: truth)."""
    classes = list(range(len(names)))
    predictions_N = probabilities_NK.argmax(axis=1)
    confusion_KK = metrics.confusion_matrix(labels_N, predictions_N, labels=classes)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels_N, predictions_N, labels=classes, zero_division=0
    )
    scores: Scores = {
        "accuracy": float(metrics.accuracy_score(labels_N, predictions_N)),
        "macro_f1": float(f1.mean()),
        "calibration_error": calibration_error(labels_N, probabilities_NK),
        "log_loss": float(
            metrics.log_loss(labels_N, probabilities_NK.astype(np.float64), labels=classes)
        ),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in zip(names, precision, recall, f1, support, strict=True)
        },
        "confusion": confusion_KK.tolist(),
        "classes_predicted": int((confusion_KK.sum(axis=0) > 0).sum()),
    }
    if intervals:
        draws_RKK = _resampled_confusions(confusion_KK)
        scores["accuracy_ci95"] = percentile_interval(
            draws_RKK.trace(axis1=1, axis2=2) / confusion_KK.sum()
        )
        scores["macro_f1_ci95"] = percentile_interval(macro_f1(draws_RKK))
    return scores


def score_multi_label(
    labels_NK: np.ndarray, probabilities_NK: np.ndarray, names: Sequence[str], intervals: bool
) -> Scores:
    """Micro- and macro-F1, exact matches and per-class scores, at a threshold of one half."""
    truth_NK, predictions_NK = labels_NK > 0.5, probabilities_NK > 0.5
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth_NK, predictions_NK, average=None, zero_division=0
    )
    scores: Scores = {
        "micro_f1": float(
            metrics.f1_score(truth_NK, predictions_NK, average="micro", zero_division=0)
        ),
        "macro_f1": float(f1.mean()),
        "exact_match": float((truth_NK == predictions_NK).all(axis=1).mean()),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in zip(names, precision, recall, f1, support, strict=True)
        },
        "classes_predicted": int(predictions_NK.any(axis=0).sum()),
    }
    if intervals:
        random = np.random.default_rng(0)
        draws = [random.integers(0, len(truth_NK), len(truth_NK)) for _ in range(RESAMPLES)]
        counts_RK3 = np.stack([_counts(truth_NK[rows], predictions_NK[rows]) for rows in draws])
        scores["micro_f1_ci95"] = percentile_interval(_f1(*counts_RK3.sum(axis=1).T))
        scores["macro_f1_ci95"] = percentile_interval(
            _f1(*np.moveaxis(counts_RK3, 2, 0)).mean(axis=1)
        )
        scores["exact_match_ci95"] = percentile_interval(
            np.array(
                [(truth_NK[rows] == predictions_NK[rows]).all(axis=1).mean() for rows in draws]
            )
        )
    return scores


def calibration_error(labels_N: np.ndarray, probabilities_NK: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017).

    The mean gap between confidence and accuracy over ten bins of confidence.
    """
    right_N = probabilities_NK.argmax(axis=1) == labels_N
    return confidence_gap(probabilities_NK.max(axis=1), right_N, bins)


def confidence_gap(confidence_N: np.ndarray, right_N: np.ndarray, bins: int = 10) -> float:
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
    return _f1(hits, confusions_RKK.sum(axis=2), confusions_RKK.sum(axis=1)).mean(axis=1)


def _resampled_confusions(confusion_KK: np.ndarray) -> np.ndarray:
    total = int(confusion_KK.sum())
    random = np.random.default_rng(0)
    return random.multinomial(total, confusion_KK.ravel() / total, size=RESAMPLES).reshape(
        RESAMPLES, *confusion_KK.shape
    )


def _counts(truth_NK: np.ndarray, predictions_NK: np.ndarray) -> np.ndarray:
    """Per class: hits, how often true, how often predicted (K, 3)."""
    return np.stack(
        [(truth_NK & predictions_NK).sum(axis=0), truth_NK.sum(axis=0), predictions_NK.sum(axis=0)],
        axis=1,
    )


def _f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.divide(
        2 * hits, true + predicted, out=np.zeros(np.shape(hits)), where=(true + predicted) > 0
    )
