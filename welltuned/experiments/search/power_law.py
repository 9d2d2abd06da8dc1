"""Power-law fit of the error, error(n) = a + b·n^(-c), with its uncertainty.

The form is that of Cortes et al. 1993 (learning curves) and Hestness et al. 2017 (arXiv
1712.00409). For a given exponent the other two are a linear least-squares problem, so all
exponents of a grid are tried; nothing can get stuck in a local minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_EXPONENTS = np.geomspace(0.05, 2.0, 60)
"""From almost flat to falling with the square: published exponents lie between 0.07 and 0.7."""
_DRAWS = 1000
_MISFIT = 1.75
"""Chance alone exceeds this once in twenty times with five sizes (two degrees of freedom)."""
_FINEST = 1e-3
"""Seeds are never taken to agree better than this: a score of finite data is no finer."""
_BORROWED = 4.0
"""So many degrees of freedom each size borrows from all when its spread is estimated."""


@dataclass(frozen=True)
class PowerLaw:
    """Fitted curves, one or many: arrays with a value for each."""

    floor: np.ndarray
    """a: the error that no amount of data removes."""
    scale: np.ndarray
    """b"""
    exponent: np.ndarray
    """c"""

    def errors(self, sizes: np.ndarray) -> np.ndarray:
        """The predicted errors (draws, sizes)."""
        return self.floor[:, None] + self.scale[:, None] * sizes ** -self.exponent[:, None]


def fit_power_law(sizes: np.ndarray, errors_DN: np.ndarray, weights: np.ndarray) -> PowerLaw:
    """The weighted least-squares fit of each row of errors (draws, sizes), with a ≥ 0 and b ≥ 0."""
    best = np.full(len(errors_DN), np.inf)
    found = np.zeros((3, len(errors_DN)))
    for exponent in _EXPONENTS:
        falling = sizes**-exponent
        falling = falling / falling.max()  # the scale of b is of no concern to the fit
        floor, scale = _two_not_negative(falling, errors_DN, weights)
        rest = errors_DN - floor[:, None] - scale[:, None] * falling
        loss = (weights * rest**2).sum(axis=1)
        better = loss < best
        best[better] = loss[better]
        unscaled = scale * sizes.min() ** exponent
        found[:, better] = np.stack([floor, unscaled, np.full_like(floor, exponent)])[:, better]
    return PowerLaw(*found)


def _two_not_negative(
    falling: np.ndarray, errors_DN: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Floor and scale of each row; where the free optimum is negative, the best on the border."""
    total, mean_f = weights.sum(), (weights * falling).sum()
    mean_ff = (weights * falling**2).sum()
    mean_e = errors_DN @ weights
    mean_fe = errors_DN @ (weights * falling)
    scale = (total * mean_fe - mean_f * mean_e) / (total * mean_ff - mean_f**2)
    floor = (mean_e - scale * mean_f) / total
    without_floor, without_scale = mean_fe / mean_ff, mean_e / total
    floor = np.where(scale < 0, without_scale, floor)
    scale = np.where(scale < 0, 0.0, scale)
    scale = np.where(floor < 0, without_floor, scale)
    return np.where(floor < 0, 0.0, floor), scale


@dataclass(frozen=True)
class Bootstrap:
    """A law and the doubt about it."""

    law: PowerLaw
    """The fit to the means."""
    draws: PowerLaw
    """Fits to redrawn means."""
    misfit: float
    """How many times farther than their spread explains the means lie from the law; near 1 where
    the law holds."""

    @property
    def holds(self) -> bool:
        """Whether the means lie as a falling law would have them, chance allowed for."""
        return self.misfit <= _MISFIT


def bootstrap(sizes: np.ndarray, errors_NS: np.ndarray, seed: int = 0) -> Bootstrap:
    """The law of errors of several seeds at each size (sizes, seeds), and redrawings of it.

    Means are redrawn from their own spread (parametric bootstrap). With few seeds a spread is
    itself uncertain: each size borrows from the others, and every draw has a spread of its own.
    Where the means lie farther from any law than that explains, the spread is raised until it
    does (the Birge ratio), and the intervals widen.
    """
    seeds = errors_NS.shape[1]
    own, free = errors_NS.var(axis=1, ddof=1), seeds - 1
    variances = (free * own + _BORROWED * own.mean()) / (free + _BORROWED)
    variances = np.maximum(variances, _FINEST**2) / seeds
    means = errors_NS.mean(axis=1)
    law = fit_power_law(sizes, means[None, :], 1 / variances)
    rest = (means - law.errors(sizes)[0]) ** 2 / variances
    misfit = float(np.sqrt(rest.sum() / max(len(sizes) - 3, 1)))
    widened = variances * (misfit**2 if misfit > _MISFIT else 1.0)
    random = np.random.default_rng(seed)
    freedom = free * len(sizes)
    doubt = np.sqrt(freedom / random.chisquare(freedom, size=(_DRAWS, 1)))
    noise = random.standard_normal((_DRAWS, len(sizes))) * doubt * np.sqrt(widened)
    return Bootstrap(law, fit_power_law(sizes, means + noise, 1 / variances), misfit)
