"""Matthews correlation: 1 is perfect, 0 as good as chance (of K classes: Gorodkin 2004)."""

from __future__ import annotations

import numpy as np

from welltuned.metrics import ClassPredictions, Metric, Statistic


def _statistic(predictions: ClassPredictions) -> Statistic:
    classes_K = np.arange(len(predictions.names))
    true_NK = predictions.true_N[:, None] == classes_K
    said_NK = predictions.said_N[:, None] == classes_K
    hits_N1 = (true_NK & said_NK).sum(axis=1, keepdims=True)
    return Statistic(np.concatenate([hits_N1, true_NK, said_NK], axis=1).astype(float), _measure)


def _measure(sums_RM: np.ndarray) -> np.ndarray:
    """The correlation (R) from hits and, class by class, truths and predictions; 0 without any."""
    hits_R, (true_RK, said_RK) = sums_RM[:, 0], np.split(sums_RM[:, 1:], 2, axis=1)
    total_R = true_RK.sum(axis=1)
    covariance_R = hits_R * total_R - (true_RK * said_RK).sum(axis=1)
    spreads_R2 = [total_R**2 - (counts_RK**2).sum(axis=1) for counts_RK in (true_RK, said_RK)]
    spread_R = np.sqrt(np.maximum(np.prod(spreads_R2, axis=0), 0))
    return np.divide(covariance_R, spread_R, out=np.zeros(len(hits_R)), where=spread_R > 0)


MATTHEWS = Metric(
    name="matthews",
    title="Matthews correlation",
    statistic=_statistic,
    bounds=(-1.0, 1.0),
    family=ClassPredictions.name,
)
