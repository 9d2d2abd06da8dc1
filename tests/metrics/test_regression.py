"""Scores of numeric predictions, each against a computation of its own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from welltuned.metrics import NumberPredictions, score

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.normal(3, 2, size=200)
GUESSES = 0.7 * LABELS + RANDOM.normal(size=200)


def test_scores_are_those_of_their_formulas() -> None:
    error = LABELS - GUESSES
    ranks = [stats.rankdata(values) for values in (LABELS, GUESSES)]
    assert score(NumberPredictions(LABELS, GUESSES), intervals=False) == pytest.approx(
        {
            "r2": 1 - (error**2).sum() / ((LABELS - LABELS.mean()) ** 2).sum(),
            "mae": np.abs(error).mean(),
            "rmse": np.sqrt((error**2).mean()),
            "spearman": np.corrcoef(*ranks)[0, 1],
        }
    )


def test_a_perfect_prediction_has_perfect_scores() -> None:
    assert score(NumberPredictions(LABELS, LABELS), intervals=False) == pytest.approx(
        {"r2": 1, "mae": 0, "rmse": 0, "spearman": 1}
    )


def test_the_mean_explains_nothing() -> None:
    scores = score(NumberPredictions(LABELS, np.full(200, LABELS.mean())), intervals=False)
    assert scores["r2"] == pytest.approx(0)
    assert scores["rmse"] == pytest.approx(LABELS.std())
    assert scores["spearman"] == 0


def test_constant_labels_give_finite_scores_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score(NumberPredictions(np.ones(5), np.arange(5.0)), intervals=True)
    assert (scores["r2"], scores["spearman"], scores["mae"]) == (0, 0, 1.4)


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("mae", lambda y, p, axis: np.abs(y - p).mean(axis=axis)),
        ("rmse", lambda y, p, axis: np.sqrt(((y - p) ** 2).mean(axis=axis))),
    ],
)
def test_intervals_agree_with_scipys_bootstrap(name: str, measure: object) -> None:
    wanted = stats.bootstrap(
        (LABELS, GUESSES), measure, paired=True, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval
    found = score(NumberPredictions(LABELS, GUESSES), intervals=True)
    assert found[f"{name}_ci95"] == pytest.approx(list(wanted), abs=0.02)


def test_every_score_has_an_interval_that_holds_it() -> None:
    scores = score(NumberPredictions(LABELS, GUESSES), intervals=True)
    for name in ("r2", "mae", "rmse", "spearman"):
        low, high = scores[f"{name}_ci95"]
        assert low < scores[name] < high


@pytest.mark.parametrize("said", [np.float32, np.float64])
@pytest.mark.parametrize("true", [np.float32, np.float64])
def test_values_are_scikit_learns_and_scipys_to_the_last_bit(true: Any, said: Any) -> None:
    random = np.random.default_rng(3)
    for number in (2, 17, 300):
        labels = random.normal(5, 3, number).round(1).astype(true)
        guesses = (labels + random.normal(size=number)).round(1).astype(said)
        assert score(NumberPredictions(labels, guesses)) == {
            "r2": float(metrics.r2_score(labels, guesses)),
            "mae": float(metrics.mean_absolute_error(labels, guesses)),
            "rmse": float(metrics.root_mean_squared_error(labels, guesses)),
            "spearman": float(stats.spearmanr(labels, guesses).statistic),
        }
