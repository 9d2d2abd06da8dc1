"""One score under two rules: both values, and the interval of what lies between."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.metrics.base import mean_of
from welltuned.metrics.paired import paired_change


def test_what_both_share_does_not_widen_the_interval() -> None:
    """Hard examples are hard under both rules; the difference is the same for each."""
    hard_N = np.random.default_rng(0).normal(scale=5, size=300)
    change = paired_change(mean_of(hard_N), mean_of(hard_N + 0.25))
    assert change["after"] - change["before"] == pytest.approx(0.25)
    assert change["difference_ci95"] == pytest.approx([0.25, 0.25])


def test_a_difference_of_few_examples_has_an_interval_around_it() -> None:
    before_N = np.zeros(200)
    after_N = before_N + (np.arange(200) < 20)
    low, high = paired_change(mean_of(before_N), mean_of(after_N))["difference_ci95"]
    assert 0.05 < low < 0.1 < high < 0.15
