"""From scores at several sizes to advice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from welltuned.experiments.search.forecast import classify_savings, extrapolate_curve, to_errors

SIZES = np.array([125, 250, 500, 1000, 2000])


def scores(a: float, b: float, c: float, noise: float = 0.003) -> np.ndarray:
    """Scores of three seeds at each size, better with more data."""
    random = np.random.default_rng(2)
    errors = a + b * SIZES.astype(float) ** -c
    return np.asarray(1 - errors[:, None] - noise * random.standard_normal((5, 3)))


def test_a_steep_curve_says_label_more() -> None:
    found = extrapolate_curve("macro_f1", SIZES, scores(0.0, 2.0, 0.4))
    assert found["verdict"] == "worth"
    assert found["advice"].endswith("Labelling more is worth it.")
    now, twice, five = found["predictions"]
    assert [row["examples"] for row in (now, twice, five)] == [2000, 4000, 10000]
    assert now["value"] < twice["value"] < five["value"]
    for row in (now, twice, five):
        assert row["low"] < row["value"] < row["high"]
        true = 1 - 2.0 * row["examples"] ** -0.4
        assert row["low"] <= true <= row["high"]
    assert found["saved_by_doubling"]["value"] == pytest.approx(1 - 0.5**0.4, abs=0.05)
    assert "4,000 examples" in found["advice"] and f"{twice['value']:.3f}" in found["advice"]


def test_a_flat_curve_says_look_elsewhere() -> None:
    found = extrapolate_curve("macro_f1", SIZES, scores(0.2, 5.0, 1.2, noise=0.001))
    assert found["verdict"] == "not_worth"
    assert "hardly worth it" in found["advice"]


def test_a_noisy_curve_says_that_it_cannot_tell() -> None:
    found = extrapolate_curve("macro_f1", SIZES, scores(0.1, 1.0, 0.3, noise=0.05))
    assert found["verdict"] == "unclear"
    assert "not yet clear" in found["advice"] and "more seeds" in found["advice"]


def test_points_that_are_no_falling_curve_are_called_so() -> None:
    odd = scores(0.0, 2.0, 0.4)
    odd[2] += 0.1
    found = extrapolate_curve("macro_f1", SIZES, odd)
    assert "do not follow a decreasing curve" in found["advice"] and found["verdict"] == "unclear"
    assert "do not lie" not in extrapolate_curve("macro_f1", SIZES, scores(0.0, 2.0, 0.4))["advice"]


def test_where_less_is_better_the_score_itself_falls() -> None:
    losses = 1 - scores(0.5, 4.0, 0.4)
    found = extrapolate_curve("loss", SIZES, losses)
    now, twice, _ = found["predictions"]
    assert twice["value"] < now["value"] and now["low"] < now["value"] < now["high"]
    assert np.array_equal(to_errors("loss", losses), losses)
    assert to_errors("r2", np.array([0.75])) == pytest.approx(0.25)


def test_measured_points_carry_the_interval_of_student() -> None:
    """By hand: mean 0.5, deviation 0.1, three seeds: 4.303 · 0.1 / √3."""
    measured = np.tile([0.4, 0.5, 0.6], (5, 1))
    point = extrapolate_curve("accuracy", SIZES, measured)["points"][0]
    assert point["scores"] == pytest.approx([0.4, 0.5, 0.6])
    assert (point["low"], point["high"]) == pytest.approx((0.5 - 0.2484, 0.5 + 0.2484), abs=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.05, 0.2, "worth"), (-0.1, 0.049, "not_worth"), (0.01, 0.2, "unclear")],
)
def test_the_verdict_needs_the_whole_interval(low: float, high: float, verdict: str) -> None:
    assert classify_savings({"value": 0.1, "low": low, "high": high}) == verdict


def test_the_drawn_curve_reaches_from_the_smallest_size_to_five_times_the_data() -> None:
    found = extrapolate_curve("macro_f1", SIZES, scores(0.0, 2.0, 0.4))
    curve = found["curve"]
    assert curve[0]["examples"] == pytest.approx(125)
    assert curve[-1]["examples"] == pytest.approx(10000)
    assert curve[-1]["value"] == pytest.approx(found["predictions"][-1]["value"])
    json.dumps(found, allow_nan=False)
