"""No winner from noise, and no real difference lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from welltuned.experiments.comparison.verdict.pairs import Difference, compare_all, holm
from welltuned.experiments.comparison.verdict.scores import score_all
from welltuned.metrics import ClassPredictions, Statistic

EXAMPLES, SEEDS, COMPARISONS = 1000, 3, 100
SEED_DEVIATION = 0.005
"""How much accuracy changes from seed to seed: half a point, besides what examples add to it."""


def answers(random: np.random.Generator, accuracies: Sequence[float]) -> np.ndarray:
    """Right or wrong (K, S, N): what makes an example hard is shared by all strategies.

    Two strategies differ on about 14 examples of 100, two seeds of one on about 11, as
    tuned encoders do.
    """
    hard, own, noise = 1.6, 0.7, 0.9
    shared_N = random.normal(0, hard, EXAMPLES)
    found = []
    for accuracy in accuracies:
        by_seed = np.clip(accuracy + random.normal(0, SEED_DEVIATION, SEEDS), 0.01, 0.99)
        level_S1 = stats.norm.ppf(by_seed)[:, None] * np.sqrt(hard**2 + own**2 + noise**2)
        strategy_N = random.normal(0, own, EXAMPLES)
        found.append(level_S1 + shared_N + strategy_N + random.normal(0, noise, (SEEDS, EXAMPLES)))
    return np.array(found) > 0


def accuracy(right_N: np.ndarray) -> Statistic:
    return Statistic(
        np.stack([right_N.astype(float), np.ones(len(right_N))], axis=1),
        lambda sums: sums[:, 0] / sums[:, 1],
    )


def compared(right_KSN: np.ndarray, names: Sequence[str] | None = None) -> list[Difference]:
    names = names or [f"s{k}" for k in range(len(right_KSN))]
    parts = {n: [accuracy(r) for r in rs] for n, rs in zip(names, right_KSN, strict=True)}
    return compare_all(score_all(parts, 1.0))


def between(differences: Sequence[Difference], one: str, other: str) -> Difference:
    return next(d for d in differences if {d.one, d.other} == {one, other})


def test_planted_differences_are_found_and_noise_is_not() -> None:
    """Of 100 comparisons with two identical strategies and one that is 5 points better."""
    random = np.random.default_rng(0)
    same = found = 0
    for _ in range(COMPARISONS):
        differences = compared(answers(random, (0.85, 0.85, 0.90, 0.84)))
        same += not between(differences, "s0", "s1").is_real
        better = between(differences, "s0", "s2")
        found += better.is_real and better.one == "s2"
    assert same >= 95
    assert found >= 90


def test_pairs_with_the_best_are_corrected_for_their_own_number() -> None:
    """Baselines count among them, but the best is never one."""
    random = np.random.default_rng(9)
    right = answers(random, (0.80, 0.84, 0.79, 0.78))
    parts = {
        name: [accuracy(seed) for seed in seeds]
        for name, seeds in zip(("a", "words", "b", "c"), right, strict=True)
    }
    differences = compare_all(score_all(parts, 1.0), baselines=["words"])
    over_all = holm([d.p for d in differences])
    for difference, corrected in zip(differences, over_all, strict=True):
        with_best = "a" in (difference.one, difference.other)
        expected = min(corrected, 3 * difference.p) if with_best else corrected
        assert difference.p_adjusted == pytest.approx(expected)
    assert differences[0].one == "words"


def test_what_can_be_seen_is_told() -> None:
    [difference] = compared(answers(np.random.default_rng(10), (0.85, 0.85)))
    assert difference.visible == pytest.approx((difference.high - difference.low) / 2)
    many = compared(answers(np.random.default_rng(10), (0.85, 0.85, 0.6, 0.6)))
    same = between(many, "s0", "s1")
    assert same.visible > difference.visible, "more pairs, more to correct for"


def test_two_identical_strategies_alone_are_not_told_apart() -> None:
    """Without other strategies there is less to correct for, which makes errors likelier."""
    random = np.random.default_rng(1)
    real = sum(compared(answers(random, (0.85, 0.85)))[0].is_real for _ in range(COMPARISONS))
    assert real <= 5


def test_seeds_count_and_not_examples_alone() -> None:
    """A strategy whose seeds lie far apart is no winner, however many examples it answered."""
    random = np.random.default_rng(2)
    steady = np.array([random.random(20000) < 0.85 for _ in range(3)])
    lucky = np.array([random.random(20000) < level for level in (0.84, 0.86, 0.90)])
    [difference] = compared(np.array([steady, lucky]), ["steady", "lucky"])
    assert difference.one == "lucky" and difference.difference > 0.01
    assert not difference.is_real
    one_seed = compare_all(score_all({"a": [accuracy(steady[0])], "b": [accuracy(lucky[1])]}, 1.0))[
        0
    ]
    assert one_seed.is_real, "with one seed, examples are all that is known"


def test_training_sets_count_where_examples_were_tested_in_folds() -> None:
    """A strategy that wins by one fold alone may have had a lucky training set."""
    random, folds_N = np.random.default_rng(6), np.repeat(np.arange(5), 100)
    plain_N = random.random(500) < 0.8
    lucky_N = plain_N | ((folds_N == 0) & (random.random(500) < 0.9))
    parts = {"plain": [accuracy(plain_N)], "lucky": [accuracy(lucky_N)]}
    [alone] = compare_all(score_all(parts, 1.0))
    [folded] = compare_all(score_all(parts, 1.0, folds_N))
    assert alone.is_real and not folded.is_real
    assert folded.difference == alone.difference
    assert folded.high - folded.low > 2 * (alone.high - alone.low)
    steady_N = plain_N.copy()
    for fold in range(5):
        steady_N[np.flatnonzero(~plain_N & (folds_N == fold))[:4]] = True
    parts = {"plain": [accuracy(plain_N)], "steady": [accuracy(steady_N)]}
    [folded] = compare_all(score_all(parts, 1.0, folds_N))
    assert folded.is_real, "a difference that is the same in every fold"


def test_the_same_answers_are_no_difference() -> None:
    right = answers(np.random.default_rng(3), (0.85,))
    [difference] = compared(np.concatenate([right, right]))
    assert difference.difference == 0 and difference.p == 1
    [exact] = compared(np.concatenate([right, right])[:, :1])
    assert (exact.difference, exact.low, exact.high, exact.p) == (0, 0, 0, 1)


def test_few_examples_cannot_be_sure() -> None:
    """All of five right against none: flips of signs make that 1 in 16, whatever t says."""
    right = np.array([[[1] * 5], [[0] * 5]], dtype=float)
    [difference] = compared(right)
    assert difference.difference == 1
    assert difference.p == pytest.approx(1 / 16, abs=0.01)
    assert not difference.is_real


def test_the_interval_of_one_seed_is_that_of_the_paired_differences() -> None:
    random = np.random.default_rng(4)
    right = answers(random, (0.8, 0.85))[:, :1]
    [difference] = compared(right)
    paired = right[1, 0].astype(float) - right[0, 0]
    expected = stats.ttest_1samp(paired, 0)
    interval = expected.confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx(
        (interval.low, interval.high), abs=2e-3
    )


def test_the_permutation_p_value_is_scipys() -> None:
    random = np.random.default_rng(5)
    right = answers(random, (0.85, 0.86))[:, :1]
    [difference] = compared(right)
    paired = right[1, 0].astype(float) - right[0, 0]
    flipped = stats.permutation_test(
        (paired,), np.mean, permutation_type="samples", n_resamples=9999, rng=0
    )
    t_p = stats.ttest_1samp(paired, 0).pvalue
    assert difference.p == pytest.approx(max(flipped.pvalue, t_p), abs=0.02)


def test_less_can_be_better() -> None:
    losses = {"low": [accuracy(np.full(50, 0.2))], "high": [accuracy(np.full(50, 0.7))]}
    scored = score_all(losses, -1.0)
    [difference] = compare_all(scored)
    assert (difference.one, difference.other) == ("low", "high")
    assert difference.difference == pytest.approx(0.5)


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_macro_f1_is_compared_like_accuracy() -> None:
    """Where classes are even and errors too, both say the same."""
    random = np.random.default_rng(7)
    labels = random.integers(0, 2, EXAMPLES)
    right = answers(random, (0.80, 0.87))
    macro_f1 = next(metric for metric in ClassPredictions.metrics if metric.name == "macro_f1")
    by_f1 = {
        f"s{k}": [
            macro_f1.statistic(
                ClassPredictions(labels, np.where(seed, labels, 1 - labels), np.eye(2), ("0", "1"))
            )
            for seed in seeds
        ]
        for k, seeds in enumerate(right)
    }
    [f1] = compare_all(score_all(by_f1, 1.0))  # type: ignore[arg-type]
    [plain] = compared(right)
    assert f1.difference == pytest.approx(plain.difference, abs=0.01)
    assert f1.high - f1.low == pytest.approx(plain.high - plain.low, rel=0.1)
    assert f1.is_real and plain.is_real
