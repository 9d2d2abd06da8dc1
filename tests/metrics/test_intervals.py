"""Percentile bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from welltuned.metrics.intervals import bootstrap_interval, percentile_interval


def hits(labels: np.ndarray, predictions: np.ndarray) -> float:
    return float((labels == predictions).mean())


def gap(labels: np.ndarray, predictions: np.ndarray) -> float:
    return float(np.abs(labels - predictions).mean())


def test_an_interval_holds_the_middle_95_percent() -> None:
    assert percentile_interval(np.arange(1001) / 10) == pytest.approx([2.5, 97.5])


def test_the_interval_of_a_share_is_that_of_the_binomial() -> None:
    labels = np.ones(400, dtype=int)
    predictions = (np.arange(400) < 320).astype(int)
    exact = stats.binom.ppf([0.025, 0.975], 400, 0.8) / 400
    assert bootstrap_interval(hits, labels, predictions) == pytest.approx(exact, abs=0.006)


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    random = np.random.default_rng(1)
    labels = random.normal(size=300)
    predictions = labels + random.exponential(size=300)
    wanted = stats.bootstrap(
        (np.abs(labels - predictions),), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    assert bootstrap_interval(gap, labels, predictions) == pytest.approx(list(wanted), abs=0.012)


def test_labels_and_predictions_are_drawn_together() -> None:
    values = np.arange(50.0)
    assert bootstrap_interval(gap, values, values) == [0.0, 0.0]


def test_the_same_predictions_give_the_same_interval() -> None:
    labels, predictions = np.arange(40) % 3, np.arange(40) % 2
    first = bootstrap_interval(hits, labels, predictions)
    np.random.seed(5)
    assert bootstrap_interval(hits, labels, predictions) == first


def test_four_times_the_examples_halve_the_interval() -> None:
    def width(number: int) -> float:
        low, high = bootstrap_interval(hits, np.ones(number), np.arange(number) % 2)
        return high - low

    assert width(1600) == pytest.approx(width(400) / 2, rel=0.15)
