"""Paired statistics: which differences between strategies are significant.

Two sources of variance can make one strategy look better than another: the sample of test examples,
and the seeds. Both count here.

Examples. All strategies answer the same ones, so they are compared in pairs: the same resample of
examples is drawn for both (paired bootstrap, Efron 1979), and the variance of the difference over
resamples is the examples' part. It is smaller than either strategy's own, since hard examples are
hard for both.

Seeds. The variance of each strategy's score from seed to seed, pooled over strategies with
shrinkage (`seed_variance.py`), over the number of seeds; what the examples' part has of it counts
once.

The parts are added, and the difference is judged by Student's t with Satterthwaite's degrees of
freedom. Where examples were tested in folds, what a difference varies by with the training set is a
third part (`metrics/folds.py`). Beside it stands a permutation test over examples (signs of the
paired differences are flipped), which holds exactly for small test splits. The larger of the two
p-values counts.

The p-values are corrected for the number of pairs by what is asked: those of pairs with the best
strategy by the number of such pairs (subset selection: Gupta 1965; Hsu 1984), all others by Holm's
method over all pairs (1979), so that the chance of any false difference is below 5%.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import (
    SeedVariance,
    combined_freedom,
    parts_of_difference,
    seed_variances,
)

ALPHA = 0.05
_FLIPS = 9999
_FLIPS_AT_ONCE = 500


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
    seeds = seed_variances(scored, baselines)
    differences = [
        _difference(pair, scored, seeds, p, size)
        for pair, p, size in zip(pairs, flipped, sizes, strict=True)
    ]
    over_all = holm([difference.p for difference in differences])
    return [
        replace(difference, p_adjusted=min(p, float(size * difference.p)))
        for difference, p, size in zip(differences, over_all, sizes, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (1979)."""
    order = np.argsort(p_values)
    adjusted, largest = np.ones(len(p_values)), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return [float(p) for p in adjusted]


def _difference(
    pair: tuple[str, str],
    scored: Mapping[str, ResampledScore],
    seeds: Mapping[str, SeedVariance],
    permutation_p: float,
    pairs: int,
) -> Difference:
    """`pairs` is the number that this one is corrected for."""
    from scipy.stats import t

    one, other = pair
    difference = scored[one].mean - scored[other].mean
    parts = parts_of_difference(scored[one], scored[other], (seeds[one], seeds[other]))
    variance = sum(part for part, _ in parts)
    if variance <= 0:  # the same answers everywhere, or a difference in every resample alike
        return Difference(one, other, difference, difference, difference, permutation_p, 0.0)
    freedom, error = combined_freedom(parts), float(np.sqrt(variance))
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
