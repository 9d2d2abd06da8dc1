"""The curve of risk by coverage, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.metrics.risk_coverage import risk_coverage

CONFIDENCE = np.array([0.6, 0.9, 0.7, 0.7])
LOSS = np.array([1.0, 0.0, 1.0, 0.0])


def test_the_surest_come_first_and_equals_together() -> None:
    curve = risk_coverage(CONFIDENCE, LOSS)
    assert curve.confidence_P.tolist() == [0.9, 0.7, 0.6]
    assert curve.coverage_P.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk_P.tolist() == pytest.approx([0, 1 / 3, 1 / 2])


def test_the_area_is_the_mean_risk_over_coverages() -> None:
    assert risk_coverage(CONFIDENCE, LOSS).area == pytest.approx(0.5 / 3 + 0.25 / 2)
    assert risk_coverage(CONFIDENCE, np.ones(4)).area == pytest.approx(1)


@pytest.mark.parametrize(("coverage", "point"), [(0.1, 0), (0.25, 0), (0.3, 1), (0.75, 1), (1, 2)])
def test_a_share_is_answered_from_a_point_on(coverage: float, point: int) -> None:
    assert risk_coverage(CONFIDENCE, LOSS).at_least(coverage) == point


def test_the_whole_is_reached_whatever_the_number() -> None:
    """7 sevenths, summed or divided, are 1 to a search."""
    for number in (1, 3, 7, 49, 1000):
        curve = risk_coverage(np.linspace(0.5, 1, number), np.zeros(number))
        assert curve.at_least(1.0) == len(curve.coverage_P) - 1
