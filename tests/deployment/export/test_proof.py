"""How many points of a score may be lost, with 95% confidence."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.deployment.export.proof import points_lost
from welltuned.metrics import metric_named
from welltuned.metrics.base import mean_of

ACCURACY = metric_named("accuracy")
RIGHT = np.ones(1000)
RIGHT[:140] = 0


def lost(changed: list[int], name: str = "accuracy") -> tuple[float, float]:
    """(drop, worst drop) where these examples change sides."""
    after = RIGHT.copy()
    after[changed] = 1 - after[changed]
    metric = metric_named(name)
    assert metric is not None
    return points_lost(metric, mean_of(RIGHT), mean_of(after))


def test_what_changes_no_answer_loses_nothing() -> None:
    assert lost([]) == (0, 0)


def test_a_point_is_a_hundredth() -> None:
    drop, worst = lost(list(range(200, 210)))
    assert drop == pytest.approx(1.0) and 1.3 < worst < 1.8


def test_changes_that_even_out_still_leave_doubt() -> None:
    few, many = lost([0, 200]), lost([*range(20), *range(200, 220)])
    assert few[0] == many[0] == pytest.approx(0)
    assert 0 < few[1] < 0.5 < many[1]


def test_where_less_is_better_more_is_a_loss() -> None:
    """Of a loss, a point is a hundredth of its value."""
    drop, _ = lost(list(range(200, 210)), "log_loss")
    assert drop == pytest.approx(-1 / 0.86)
