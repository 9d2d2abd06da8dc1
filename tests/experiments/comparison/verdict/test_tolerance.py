"""How far below the best a strategy still counts as equally good."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.tolerance import usual_tolerance
from welltuned.metrics import metric_named


@pytest.mark.parametrize(
    ("metric", "best", "expected"),
    [("macro_f1", 0.9, 0.01), ("loss", -2.0, 0.04), ("mae", -0.5, 0.01), ("mae", 0.0, 0.01)],
)
def test_a_point_of_a_share_and_two_hundredths_of_a_loss(
    metric: str, best: float, expected: float
) -> None:
    scored: Any = {
        name: ResampledScore(np.array([value]), np.zeros(2), np.zeros((1, 2)))
        for name, value in {"one": best, "other": best - 1}.items()
    }
    found = metric_named(metric)
    assert found is not None
    assert usual_tolerance(found, scored) == pytest.approx(expected)
