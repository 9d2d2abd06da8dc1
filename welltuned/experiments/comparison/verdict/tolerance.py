"""Tolerance: how far below the best a strategy still counts as equally good."""

from __future__ import annotations

from collections.abc import Mapping

from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.metrics import Metric

_POINT = 0.01
_SHARE_OF_LOSS = 0.02


def usual_tolerance(metric: Metric, scored: Mapping[str, ResampledScore]) -> float:
    """One point of a score that is 1 at best; 2% of the best value of any other, such as a loss."""
    if metric.is_share:
        return _POINT
    best = max(score.mean for score in scored.values())
    return _SHARE_OF_LOSS * abs(best) or _POINT
