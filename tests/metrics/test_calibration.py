"""Calibration as a sum over examples, against the plain definition."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.metrics.calibration import calibration_statistic
from welltuned.metrics.classification import confidence_gap


def test_of_one_probability_an_example_it_is_the_gap_over_bins() -> None:
    random = np.random.default_rng(0)
    chances, right = random.random(500), random.random(500) < 0.6
    statistic = calibration_statistic(chances, right)
    assert statistic.value == pytest.approx(confidence_gap(chances, right))
    assert statistic.parts_NM.shape == (500, 20)


def test_of_several_all_count_and_examples_are_resampled_whole() -> None:
    random = np.random.default_rng(1)
    chances, right = random.random((200, 3)), random.random((200, 3)) < 0.3
    statistic = calibration_statistic(chances, right)
    assert statistic.value == pytest.approx(confidence_gap(chances.ravel(), right.ravel()))
    assert len(statistic.parts_NM) == 200


def test_what_comes_true_as_often_as_it_says_has_no_error() -> None:
    chances, right = np.full(10, 0.3), np.arange(10) < 3
    assert calibration_statistic(chances, right).value == pytest.approx(0)
    assert calibration_statistic(np.ones(4), np.zeros(4, dtype=bool)).value == 1
