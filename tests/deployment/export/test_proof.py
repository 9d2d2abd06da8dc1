"""How many points of a score may be lost, with 95% confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporting import scored
from welltuned.deployment.export.proof import drop_beyond_limit, examples_needed, points_lost
from welltuned.metrics import metric_named
from welltuned.metrics.base import mean_of
from welltuned.runs.export_schema import ScoreProof

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


# --- What is said of a refusal -----------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "needed"),
    [
        (scored(0.0, 1.0, 500), 2000),
        (scored(0.25, 1.0, 500), 4500),
        (scored(-0.5, 0.75, 500), 790),
        (scored(0.0, 0.51, 40), 42),
        (scored(0.0, 0.0, 40), 0),
        (scored(0.5, 1.0, 500), None),
        (scored(0.9, 1.0, 500), None),
        (scored(0.0, 0.4, 500, limit=0.0), None),
    ],
)
def test_how_many_examples_would_show_it(measured: ScoreProof, needed: int | None) -> None:
    assert examples_needed(measured) == needed


def test_as_many_as_are_said_to_be_needed_do_show_it() -> None:
    """Three answers of a hundred change, and even out."""

    def judged(number: int) -> ScoreProof:
        after = np.ones(number)
        before = np.ones(number)
        before[: number * 3 // 200] = after[-(number * 3 // 200) :] = 0
        assert ACCURACY is not None
        drop, worst = points_lost(ACCURACY, mean_of(before), mean_of(after))
        return scored(drop, worst, number)

    few = judged(400)
    needed = examples_needed(few)
    assert few["worst_drop"] > 0.5 and needed is not None
    assert judged(needed * 11 // 10)["worst_drop"] <= 0.5


def test_too_few_examples_are_told_apart_from_a_loss(tmp_path: Path) -> None:
    few = drop_beyond_limit(scored(0.11, 0.72, 512), "static int8", tmp_path)
    assert few.code == "export.too_few_examples"
    assert "512 examples of test are too few" in few.what and "0.11 were measured" in few.what
    assert few.remedy.startswith("judge on about 1,300 examples")
    assert few.remedy.endswith("limits.drop=0.8")
    lost = drop_beyond_limit(scored(0.9, 1.4, 512), "static int8", tmp_path)
    assert lost.code == "export.drop_beyond_limit" and "judge on" not in lost.remedy
    assert "loses 0.90 points" in lost.what and lost.remedy.endswith("limits.drop=1.4")
    hopeless = drop_beyond_limit(scored(0.4, 3.0, 100), "static int8", tmp_path)
    assert hopeless.code == "export.drop_beyond_limit", "so many are not read"
