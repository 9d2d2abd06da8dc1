"""Posterior: how far each strategy is below the best, from a hierarchical normal model.

True scores are drawn around a common mean with an unknown spread τ; what was measured differs from
them by the test examples, which all strategies share, and by the seeds:

    true_K ~ N(m, τ²),      measured_K ~ N(true_K, V),      V = examples_KK + diag(seeds_K)

Strategies that look alike are taken to be alike, as far as the noise allows, and one that only
happened to come out on top is pulled back to the others: so who is chosen as the best needs no
further correction (Gelman, Hill & Yajima 2012, "Why we (usually) don't have to worry about multiple
comparisons"). For m the prior is flat; for τ it is half-Cauchy (Gelman 2006), with a scale of twice
the usual tolerance: strategies of fine-tuning are a few points apart. τ is integrated out on a
grid, and all else is exact (Gelman et al., Bayesian Data Analysis, section 5.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import SeedVariance

_DRAWS = 4000
_GRID = 60
_ONE_SIDED = 0.05


@dataclass(frozen=True)
class Standing:
    """A strategy beside the best of all, whichever that is. Signed so that more is better."""

    name: str
    expected: float
    """The posterior mean of its score."""
    gap: float
    """The posterior mean of how far it is below the best."""
    low: float
    high: float
    """The 95% interval of that."""
    within: float
    """The probability that it is within the tolerance of the best."""
    behind: float
    """How far its mean over seeds, as it was measured, is below the best one."""


def standings(
    scored: Mapping[str, ResampledScore],
    seeds: Mapping[str, SeedVariance],
    tolerance: float,
    scale: float,
) -> list[Standing]:
    """Every strategy, the one with the best posterior mean first.

    `scale` is that of the prior of their spread.
    """
    names = list(scored)
    if not names:
        return []
    means_K = np.array([scored[name].mean for name in names])
    covariance_KK = _covariance(names, scored, seeds)
    true_BK = posterior_draws(means_K, covariance_KK, scale)
    gaps_BK = true_BK.max(axis=1, keepdims=True) - true_BK
    low_K, high_K = np.quantile(gaps_BK, (0.025, 0.975), axis=0)
    found = [
        Standing(
            name=name,
            expected=float(true_BK[:, k].mean()),
            gap=float(gaps_BK[:, k].mean()),
            low=float(low_K[k]),
            high=float(high_K[k]),
            within=float((gaps_BK[:, k] <= tolerance).mean()),
            behind=float(means_K.max() - means_K[k]),
        )
        for k, name in enumerate(names)
    ]
    return sorted(found, key=lambda standing: -standing.expected)


def posterior_draws(
    means_K: np.ndarray, covariance_KK: np.ndarray, scale: float, draws: int = _DRAWS
) -> np.ndarray:
    """True scores (B, K), drawn from their posterior; equal arguments give equal draws.

    With V = Q diag(λ) Qᵀ the matrix of every τ of the grid has the same eigenvectors.
    """
    count = len(means_K)
    if count == 1:
        return np.repeat(means_K[None], draws, axis=0)
    values_K, vectors_KK = np.linalg.eigh(covariance_KK)
    values_K = np.maximum(values_K, max(values_K.max(), scale**2) * 1e-9)
    taus_T = np.concatenate([[0.0], np.geomspace(scale / 50, scale * 50, _GRID)])
    inverse_TK = 1 / (values_K + taus_T[:, None] ** 2)
    ones_K, measured_K = vectors_KK.sum(axis=0), means_K @ vectors_KK  # in eigenvectors
    information_T = inverse_TK @ ones_K**2
    centre_T = inverse_TK @ (ones_K * measured_K) / information_T
    rest_TK = measured_K - centre_T[:, None] * ones_K
    misfit_T = (inverse_TK * rest_TK**2).sum(axis=1)
    fit_T = np.log(inverse_TK).sum(axis=1) - np.log(information_T) - misfit_T
    prior_T = np.gradient(taus_T) / (1 + (taus_T / scale) ** 2)
    weight_T = np.exp((fit_T - fit_T.max()) / 2) * prior_T
    quantiles_B = (np.arange(draws) + 0.5) / draws
    chosen_B = np.searchsorted(np.cumsum(weight_T) / weight_T.sum(), quantiles_B)
    chosen_B = np.minimum(chosen_B, _GRID)  # rounding may leave the last sum below 1
    random = np.random.default_rng(0)
    noise_BK, noise_B = random.standard_normal((draws, count)), random.standard_normal(draws)
    squared_B, inverse_BK = taus_T[chosen_B] ** 2, inverse_TK[chosen_B]
    own_BK = noise_BK * np.sqrt(squared_B[:, None] * values_K * inverse_BK)
    common_B = noise_B / np.sqrt(information_T[chosen_B])
    kept_BK = squared_B[:, None] * inverse_BK  # the share of a deviation that is believed
    true_BK = centre_T[chosen_B, None] * ones_K + kept_BK * rest_TK[chosen_B]
    true_BK += own_BK + common_B[:, None] * (1 - kept_BK) * ones_K
    drawn_BK: np.ndarray = true_BK @ vectors_KK.T
    return drawn_BK


def _covariance(
    names: Sequence[str],
    scored: Mapping[str, ResampledScore],
    seeds: Mapping[str, SeedVariance],
) -> np.ndarray:
    """Of the measured scores (K, K)."""
    resampled_KR = np.stack([scored[name].resampled_R for name in names])
    examples_KK = np.atleast_2d(np.cov(resampled_KR))
    seeds_KK = np.diag([_widened(seeds[name]) for name in names])
    return examples_KK + seeds_KK + _by_training_sets([scored[name] for name in names])


def _by_training_sets(scores: Sequence[ResampledScore]) -> np.ndarray:
    """What training sets add (K, K): covariances from the variances of differences."""
    alone_K = np.array([score.training_sets()[0] for score in scores])
    apart_KK = np.array([[one.training_sets(other)[0] for other in scores] for one in scores])
    return (alone_K[:, None] + alone_K - apart_KK) / 2


def _widened(seeds: SeedVariance) -> float:
    """The variance by seeds, as much larger as Student's t is wider than the normal at 5%."""
    from scipy.stats import norm, t

    return seeds.of_mean * float(t.isf(_ONE_SIDED, seeds.freedom) / norm.isf(_ONE_SIDED)) ** 2
