"""Intervals that know about folds: as wide as examples and training sets make them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from welltuned.metrics import ClassPredictions, score
from welltuned.metrics.folds import (
    FOLD,
    FoldStatistic,
    folds_of,
    pooled_scores,
    training_deviations,
    widening,
)

LABELS = ["a", "b"]


def rows_of(right: np.ndarray) -> list[dict[str, Any]]:
    """Rows of as many folds as there are, in which these answers are right (K, n)."""
    found = []
    for fold, answers in enumerate(right):
        for i, is_right in enumerate(answers):
            said = LABELS[(i + (not is_right)) % 2]
            chances = {label: 0.8 if label == said else 0.2 for label in LABELS}
            found.append(
                {"label": LABELS[i % 2], "prediction": said, "probabilities": chances, FOLD: fold}
            )
    return found


def answered(shares: list[float], size: int = 40) -> np.ndarray:
    """Right or wrong (K, n): of each fold this share is right."""
    return np.array([np.arange(size) < round(share * size) for share in shares])


def scores_of(right: np.ndarray) -> dict[str, Any]:
    return pooled_scores(ClassPredictions, LABELS, rows_of(right), [{}] * len(right))


def test_all_answers_are_scored_together() -> None:
    rows = rows_of(answered([0.6, 0.7, 0.8]))
    together = score(ClassPredictions.from_rows(rows, LABELS), intervals=True)
    pooled = pooled_scores(ClassPredictions, LABELS, rows, [{}] * 3)
    assert pooled["accuracy"] == pytest.approx(0.7)
    for name in ("accuracy", "macro_f1", "log_loss", "per_class", "confusion"):
        assert pooled[name] == together[name]


def test_folds_that_are_alike_leave_the_interval_of_the_examples() -> None:
    rows = rows_of(answered([0.8] * 5))
    plain = score(ClassPredictions.from_rows(rows, LABELS), intervals=True)
    assert scores_of(answered([0.8] * 5))["accuracy_ci95"] == plain["accuracy_ci95"]
    assert training_deviations(ClassPredictions, LABELS, rows)["accuracy"] == 0


def test_folds_that_differ_by_more_than_their_examples_widen_it() -> None:
    shares = [0.5, 0.6, 0.8, 0.9, 0.95]
    low, high = scores_of(answered(shares))["accuracy_ci95"]
    near = scores_of(answered([0.75] * 5))["accuracy_ci95"]
    assert high - low > 2 * (near[1] - near[0])
    deviation = training_deviations(ClassPredictions, LABELS, rows_of(answered(shares)))
    assert deviation["accuracy"] == pytest.approx(np.std(shares, ddof=1), abs=0.03)


def test_no_interval_reaches_beyond_what_a_score_can_be() -> None:
    low, high = scores_of(answered([1.0, 1.0, 1.0, 1.0, 0.5]))["accuracy_ci95"]
    assert low >= 0 and high == 1.0


def test_where_all_is_right_the_interval_is_that_of_so_many_examples() -> None:
    assert scores_of(answered([1.0] * 5))["accuracy_ci95"] == [0.025 ** (1 / 200), 1.0]


def test_examples_that_explain_nothing_leave_the_corrected_t_test() -> None:
    """Of folds without variance within them, all is between (Nadeau & Bengio 2003)."""
    means = np.array([0.5, 0.6, 0.8, 0.9, 0.95])
    folds_N = np.repeat(np.arange(5), 40)
    part = FoldStatistic.of(np.repeat(means - means.mean(), 40), folds_N)
    assert part.variance == pytest.approx((1 / 5 + 1 / 4) * means.var(ddof=1))
    assert part.degrees == 4 and part.within == pytest.approx(0, abs=1e-12)
    assert part.effects_K == pytest.approx(means - means.mean())


def test_the_variance_of_training_sets_is_found() -> None:
    """On average, also where folds are of unequal sizes."""
    random, sizes = np.random.default_rng(0), [30, 40, 40, 50]
    folds_N = np.repeat(np.arange(4), sizes)
    found = []
    for _ in range(2000):
        values_N = random.normal(0, 0.2, 4)[folds_N] + random.normal(0, 0.4, len(folds_N))
        part = FoldStatistic.of(values_N - values_N.mean(), folds_N)
        found.append(part.training_variance)
    assert np.mean(found) == pytest.approx(0.2**2, rel=0.08)


def test_one_example_a_fold_cannot_tell_them_apart() -> None:
    part = FoldStatistic.of(np.array([-1.0, 0.0, 1.0]), np.arange(3))
    assert part.training_variance == 0


@pytest.mark.parametrize(("deviation", "least"), [(0.0, 0.94), (0.02, 0.93), (0.04, 0.90)])
def test_intervals_cover_what_they_should(deviation: float, least: float) -> None:
    """Accuracy 0.8 of 200 examples in five folds, whose training sets are worth more or less.

    Training sets of k folds are alike by 1/k, as the correction takes it.
    """
    random, folds_N = np.random.default_rng(0), np.repeat(np.arange(5), 40)
    reach, covered, examples_alone = stats.t.ppf(0.975, 199), [], []
    for _ in range(1000):
        shared = random.normal(0, deviation * np.sqrt(1 / 5))
        own_K = random.normal(0, deviation * np.sqrt(4 / 5), 5)
        values_N = shared + own_K[folds_N] + random.normal(0, 0.4, 200)
        influence_N = values_N - values_N.mean()
        half = reach * np.sqrt(influence_N.var() / 200)
        examples_alone.append(abs(values_N.mean()) < half)
        covered.append(abs(values_N.mean()) < half * widening(influence_N, folds_N))
    assert np.mean(covered) >= least
    if deviation > 0.03:
        assert np.mean(examples_alone) < 0.90


def test_a_score_that_rows_do_not_tell_is_the_mean_over_folds() -> None:
    by_fold = [{"odd": value, "odd_ci95": [0.0, 1.0]} for value in (0.2, 0.4, 0.6)]
    pooled = pooled_scores(ClassPredictions, LABELS, rows_of(answered([0.8] * 3)), by_fold)
    half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + 1 / 2) * 0.04)
    assert pooled["odd"] == pytest.approx(0.4)
    assert pooled["odd_ci95"] == pytest.approx([0.4 - half, 0.4 + half])
    plain = pooled_scores(ClassPredictions, LABELS, [], [{"accuracy": 0.5}, {"accuracy": 0.6}])
    assert plain == {"accuracy": pytest.approx(0.55)}


def test_rows_of_one_test_split_have_no_folds() -> None:
    assert folds_of([{"label": "a"}]) is None and folds_of([]) is None
    assert folds_of([{FOLD: 1}, {FOLD: 0}]).tolist() == [1, 0]  # type: ignore[union-attr]
