"""One score of the same examples under two rules, and the interval of the difference."""

from __future__ import annotations

from welltuned.metrics.base import Statistic, resampled
from welltuned.metrics.intervals import percentile_interval
from welltuned.runs.results_schema import Change


def paired_change(before: Statistic, after: Statistic) -> Change:
    """Both values, and the interval from resamples that draw the same examples for both."""
    draws_2R = resampled([before, after])
    return {
        "before": before.value,
        "after": after.value,
        "difference_ci95": percentile_interval(draws_2R[1] - draws_2R[0]),
    }
