"""Learning-curve extrapolation: what more labelled data would bring."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from welltuned.experiments.search.power_law import PowerLaw, bootstrap
from welltuned.metrics import lower_is_better, metric_named
from welltuned.reports.advice import advise_on_curve
from welltuned.reports.translations import ENGLISH

TIMES = (2, 5)
"""How many times the data is predicted for."""
WORTH = 0.05
"""Labelling as much again is called worth it when it saves at least this share of errors."""
_GRID = 40
_LEVEL = 0.95


def extrapolate_curve(metric: str, sizes: np.ndarray, scores_NS: np.ndarray) -> dict[str, Any]:
    """What `learning_curve.json` holds: points, law, predictions, advice.

    `scores_NS` are the scores of each seed at each size (sizes, seeds), sizes ascending.
    """
    found = bootstrap(sizes, to_errors(metric, scores_NS))
    law, draws = found.law, found.draws
    total = int(sizes[-1])
    ahead = np.array([total, *(times * total for times in TIMES)], dtype=float)
    saved = 1 - draws.errors(ahead)[:, 1] / np.maximum(draws.errors(ahead)[:, 0], 1e-12)
    fitted = law.errors(ahead)[0]
    savings = {"value": float(1 - fitted[1] / max(fitted[0], 1e-12)), **_interval(saved)}
    predictions = [
        {"times": times, "examples": times * total, **point}
        for times, point in zip((1, *TIMES), _predict(metric, law, draws, ahead), strict=True)
    ]
    grid = np.geomspace(sizes[0], TIMES[-1] * total, _GRID)
    curve = [
        {"examples": float(size), **point}
        for size, point in zip(grid, _predict(metric, law, draws, grid), strict=True)
    ]
    verdict = classify_savings(savings) if found.holds else "unclear"
    told = {
        "metric": metric,
        "examples": total,
        "points": [
            _point(metric, int(n), scores) for n, scores in zip(sizes, scores_NS, strict=True)
        ],
        "law": {
            name: {"value": float(getattr(law, name)[0]), **_interval(getattr(draws, name))}
            for name in ("floor", "scale", "exponent")
        },
        "curve": curve,
        "predictions": predictions,
        "saved_by_doubling": savings,
        "misfit": found.misfit,
        "holds": found.holds,
        "verdict": verdict,
    }
    return {**told, "advice": advise_on_curve(told, ENGLISH)}


def to_errors(metric: str, scores: np.ndarray) -> np.ndarray:
    """What falls with more data: the score itself where less is better, else what lacks to 1."""
    return scores if lower_is_better(metric) else 1 - scores


def classify_savings(savings: dict[str, float]) -> str:
    """worth, not_worth or unclear, by the share of errors that twice the data would save."""
    if savings["low"] >= WORTH:
        return "worth"
    return "not_worth" if savings["high"] < WORTH else "unclear"


def _predict(
    metric: str, law: PowerLaw, draws: PowerLaw, sizes: np.ndarray
) -> list[dict[str, float]]:
    """The mean score to expect at each size, with its interval."""
    values = to_errors(metric, law.errors(sizes)[0])  # its own inverse
    spread = to_errors(metric, draws.errors(sizes))
    return [
        {"value": float(value), **_interval(column)}
        for value, column in zip(values, spread.T, strict=True)
    ]


def _point(metric: str, size: int, scores: np.ndarray) -> dict[str, Any]:
    """A measured size: its seeds, their mean, and the t-interval of the mean."""
    mean = float(scores.mean())
    half = float(
        stats.t.ppf((1 + _LEVEL) / 2, len(scores) - 1) * scores.std(ddof=1) / len(scores) ** 0.5
    )
    low, high = mean - half, mean + half
    if (known := metric_named(metric)) is not None:
        low, high = known.within_bounds(low, high)
    return {
        "examples": size,
        "scores": [float(score) for score in scores],
        "value": mean,
        "low": low,
        "high": high,
    }


def _interval(draws: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return {"low": float(low), "high": float(high)}
