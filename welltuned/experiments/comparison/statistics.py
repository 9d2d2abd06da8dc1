"""Paired statistics: which differences between strategies are significant.

Two sources of variance can make one strategy look better than another: the sample of test examples,
and the seeds. Both count here.

Examples. All strategies answer the same ones, so they are compared in pairs: the
same resample of examples is drawn for both (paired bootstrap, Efron 1979), and the
variance of the difference over resamples is the examples' part. It is smaller than
either strategy's own, since hard examples are hard for both.

Seeds. The variance of each strategy's score from seed to seed, over the number of
seeds, is the seeds' part. It contains a little of what the examples' part contains
already; it is not taken out, so the test is on the careful side.

The parts are added, and the difference is judged by Student's t with the degrees of
freedom of Welch and Satterthwaite: three seeds know little about seeds, and the test
knows that. Beside it stands a permutation test over examples (signs of the paired
differences are flipped), which holds exactly for small test splits. The larger of the
two p-values counts.

Two questions are asked of the pairs, and each is corrected for its own number. Which
strategies may be the best? The pairs with the best one answer that: their p-values are
multiplied by how many they are, so that a strategy that is truly the best is left out in
less than 5% of comparisons, whichever happens to come out on top (subset selection: Gupta
1965; Hsu 1984). Which of the others differ? Over all pairs the p-values are corrected by
Holm's method (1979), which asks more: that the chance of any false difference is below 5%.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from welltuned.metrics.base import Statistic, resampled

ALPHA = 0.05
_FLIPS = 9999
_FLIPS_AT_ONCE = 500


@dataclass(frozen=True)
class ResampledScore:
    """A strategy's headline score, so that more is better, with what it rests on."""

    values_S: np.ndarray
    """By seed."""
    resampled_R: np.ndarray
    """The mean over seeds, for each of R resamples of the test examples."""
    influence_N: np.ndarray
    """The mean over seeds of how far each example moves the score; its mean is zero."""

    @property
    def mean(self) -> float:
        return float(self.values_S.mean())

    @property
    def seeds_variance(self) -> float:
        """Of the mean, by the seeds; 0 where one seed leaves it unknown."""
        count = len(self.values_S)
        return float(self.values_S.var(ddof=1) / count) if count > 1 else 0.0


def score_all(
    statistics: Mapping[str, Sequence[Statistic]], sign: float
) -> dict[str, ResampledScore]:
    """Each strategy, by name, from its statistics by seed; `sign` is -1 where less is better."""
    flat = [part for parts in statistics.values() for part in parts]
    if not flat:
        return {}
    draws = iter(sign * resampled(flat))
    return {
        name: ResampledScore(
            values_S=sign * np.array([part.value for part in parts]),
            resampled_R=np.mean([next(draws) for _ in parts], axis=0),
            influence_N=sign * np.mean([part.influence() for part in parts], axis=0),
        )
        for name, parts in statistics.items()
    }


@dataclass(frozen=True)
class Difference:
    """One strategy's score less another's."""

    one: str
    other: str
    difference: float
    low: float
    high: float
    """The 95% interval, by examples and seeds, of this pair alone."""
    p: float
    visible: float
    """The approximate minimum detectable difference, after correction."""
    p_adjusted: float = 1.0
    """Corrected for the number of pairs."""

    @property
    def is_real(self) -> bool:
        """Whether the difference is significant."""
        return self.p_adjusted < ALPHA


def seeds_interval(values_S: np.ndarray) -> tuple[float, float] | None:
    """The 95% interval of the mean over seeds, by Student's t; None for a single seed.

    It may reach beyond what a metric can be: `Metric.within_bounds`.
    """
    from scipy.stats import t

    count = len(values_S)
    if count < 2:
        return None
    half = float(t.ppf(0.975, count - 1) * values_S.std(ddof=1) / np.sqrt(count))
    mean = float(values_S.mean())
    return mean - half, mean + half


def compare_all(
    scored: Mapping[str, ResampledScore], baselines: Collection[str] = ()
) -> list[Difference]:
    """Every pair, the better one first, with corrected p-values.

    `baselines` are compared like the others, but are not what the best is chosen from.
    """
    names = sorted(scored, key=lambda name: -scored[name].mean)
    pairs = list(combinations(names, 2))
    if not pairs:
        return []
    flipped = _permuted(scored, pairs)
    best = next((name for name in names if name not in baselines), names[0])
    sizes = [len(names) - 1 if best in pair else len(pairs) for pair in pairs]
    differences = [
        _difference(one, other, scored[one], scored[other], p, size)
        for (one, other), p, size in zip(pairs, flipped, sizes, strict=True)
    ]
    over_all = holm([difference.p for difference in differences])
    return [
        replace(difference, p_adjusted=min(p, float(size * difference.p)))
        for difference, p, size in zip(differences, over_all, sizes, strict=True)
    ]


def not_distinguishable_from_best(
    scored: Mapping[str, ResampledScore], differences: Sequence[Difference]
) -> list[str]:
    """The best strategy, and those not significantly different from it, best first."""
    names = sorted(scored, key=lambda name: -scored[name].mean)
    worse = {d.other for d in differences if d.one == names[0] and d.is_real}
    return [name for name in names if name not in worse]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (1979)."""
    order = np.argsort(p_values)
    adjusted, largest = np.ones(len(p_values)), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return [float(p) for p in adjusted]


def _difference(
    one: str,
    other: str,
    scored: ResampledScore,
    than: ResampledScore,
    permutation_p: float,
    pairs: int,
) -> Difference:
    """`pairs` is the number that this one is corrected for."""
    from scipy.stats import t

    difference = scored.mean - than.mean
    examples = float((scored.resampled_R - than.resampled_R).var(ddof=1))
    parts = [(examples, len(scored.influence_N) - 1)]
    parts += [(part.seeds_variance, len(part.values_S) - 1) for part in (scored, than)]
    variance = sum(part for part, _ in parts)
    if variance <= 0:  # the same answers everywhere, or a difference in every resample alike
        return Difference(one, other, difference, difference, difference, permutation_p, 0.0)
    freedom = variance**2 / sum(part**2 / max(degrees, 1) for part, degrees in parts)
    error = float(np.sqrt(variance))
    p = float(2 * t.sf(abs(difference) / error, freedom))
    half, visible = (float(t.isf(ALPHA / 2 / count, freedom)) * error for count in (1, pairs))
    return Difference(
        one=one,
        other=other,
        difference=difference,
        low=difference - half,
        high=difference + half,
        p=max(p, permutation_p),
        visible=visible,
    )


def _permuted(scored: Mapping[str, ResampledScore], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """p-values of the pairs by flipping signs of the examples' differences, from a fixed seed."""
    differences_NP = np.stack(
        [
            scored[one].influence_N - scored[other].influence_N
            + scored[one].mean - scored[other].mean
            for one, other in pairs
        ],
        axis=1,
    ).astype(np.float32)  # fmt: skip
    observed_P = np.abs(differences_NP.mean(axis=0)) * (1 - 1e-5)  # equal is as extreme
    random, as_extreme_P, left = np.random.default_rng(0), np.ones(len(pairs)), _FLIPS
    while left:
        now = min(left, _FLIPS_AT_ONCE)
        signs = random.integers(0, 2, (now, len(differences_NP)), dtype=np.int8)
        means_FP = (2 * signs.astype(np.float32) - 1) @ differences_NP / len(differences_NP)
        as_extreme_P += (np.abs(means_FP) >= observed_P).sum(axis=0)
        left -= now
    return as_extreme_P / (_FLIPS + 1)
