"""Scores of rewards on pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from welltuned.metrics import PairPredictions, score
from welltuned.metrics.preferences import score_lengths, share_right, sigmoid

DIFFERENCES = np.array([2.0, -1.0, 0.5, 0.0])
PROMPTS = np.array([3, 3, 7, 9])


def test_accuracy_counts_equal_rewards_half() -> None:
    scores = score(PairPredictions(DIFFERENCES, PROMPTS), intervals=False)
    assert scores["pair_accuracy"] == share_right(DIFFERENCES) == 2.5 / 4
    assert scores["margin"] == pytest.approx(1.5 / 4)
    assert scores["pairs"] == 4
    assert not any(name.endswith("_ci95") for name in scores)


def test_the_loss_is_that_of_bradley_and_terry() -> None:
    wanted = np.mean([math.log(1 + math.exp(-difference)) for difference in DIFFERENCES])
    assert score(PairPredictions(DIFFERENCES, PROMPTS), False)["log_loss"] == pytest.approx(wanted)


def test_rewards_that_are_as_sure_as_they_are_right_are_calibrated() -> None:
    """Of pairs whose difference says 80%, 8 in 10 are right."""
    surely = math.log(0.8 / 0.2)
    differences = np.array([surely] * 8 + [-surely] * 2)
    good = score(PairPredictions(differences, np.arange(10)), False)["calibration_error"]
    sure = score(PairPredictions(10 * differences, np.arange(10)), False)["calibration_error"]
    none = score(PairPredictions(np.zeros(10), np.arange(10)), False)["calibration_error"]
    assert (good, none) == (pytest.approx(0, abs=1e-9), 0)
    assert sure == pytest.approx(0.2, abs=1e-3)


def test_intervals_resample_prompts_and_not_pairs() -> None:
    """Fifty pairs of one prompt say as little as one."""
    right = np.tile([1.0, -1.0], 10)
    alone = score(PairPredictions(right, np.arange(20)), True)["pair_accuracy_ci95"]
    repeated = score(PairPredictions(np.repeat(right, 50), np.repeat(np.arange(20), 50)), True)
    assert repeated["pair_accuracy_ci95"] == pytest.approx(alone)
    assert alone[0] < 0.35 and alone[1] > 0.65
    assert repeated["margin_ci95"] == pytest.approx([2 * a - 1 for a in alone])


def test_one_prompt_has_an_interval_of_no_width() -> None:
    scores = score(PairPredictions(np.array([1.0, -1.0]), np.array([4, 4])), True)
    assert scores["pair_accuracy_ci95"] == [0.5, 0.5]


def test_rewards_that_are_lengths_go_with_length() -> None:
    lengths, longer = np.array([3, 9, 5, 4]), np.array([6, -1, 0])
    scores = score_lengths(lengths.astype(float), lengths, longer.astype(float), longer)
    assert scores == {"length_correlation": pytest.approx(1), "longer_preferred": 1.0}
    against = score_lengths(-lengths.astype(float), lengths, -longer.astype(float), longer)
    assert against == {"length_correlation": pytest.approx(-1), "longer_preferred": 0.0}


def test_equal_rewards_prefer_no_length_and_equal_lengths_say_nothing() -> None:
    constant = score_lengths(np.ones(3), np.array([1, 2, 3]), np.zeros(2), np.array([1, -2]))
    assert constant == {"length_correlation": 0.0, "longer_preferred": 0.5}
    same = score_lengths(np.arange(3.0), np.ones(3), np.ones(2), np.zeros(2))
    assert same == {"length_correlation": 0.0}


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]
