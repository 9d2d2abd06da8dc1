"""The same experiments run again: how far a single run can be trusted.

Methods by reruns is a two-way layout with one run in each cell. What all methods have in common
from one rerun to the next (newer libraries) is taken out; what is left beside the methods' own
levels is the noise of a run. Between seeds it is no smaller: here not even the seed changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import f, spearmanr, t


@dataclass(frozen=True)
class Layout:
    """M methods in R reruns, and where their variance lies."""

    names: tuple[str, ...]
    """Best mean first."""
    scores_MR: np.ndarray
    run_variance: float
    """Of one run, beside method and rerun."""
    method_variance: float
    """Of the methods' true levels; 0 where the noise alone explains more."""
    p: float
    """That the methods are all equal (F-test)."""

    @property
    def freedom(self) -> int:
        """The degrees of freedom that `run_variance` rests on."""
        methods, reruns = self.scores_MR.shape
        return (methods - 1) * (reruns - 1)

    @property
    def run_sd(self) -> float:
        """The standard deviation of one run."""
        return float(np.sqrt(self.run_variance))

    @property
    def reliability(self) -> float:
        """The share of a single rerun's variance that is the methods' own."""
        both = self.method_variance + self.run_variance
        return self.method_variance / both if both > 0 else 0.0

    @property
    def means(self) -> np.ndarray:
        """By method, over its reruns."""
        return np.asarray(self.scores_MR.mean(axis=1))

    def p_of_difference(self, difference: float, runs: int) -> float:
        """Two-sided, of a difference between means of as many runs each (Student's t)."""
        error = self.run_sd * np.sqrt(2 / runs)
        return float(2 * t.sf(abs(difference) / error, self.freedom)) if error > 0 else 1.0

    def rank_correlation(self) -> float:
        """Spearman's, between the first rerun and the last."""
        return rank_correlation(self.scores_MR[:, 0], self.scores_MR[:, -1])


def lay_out(scores: Mapping[str, list[float]]) -> Layout:
    """The layout of scores by method, each in the same order of reruns."""
    names = sorted(scores, key=lambda name: -float(np.mean(scores[name])))
    scores_MR = np.array([scores[name] for name in names])
    methods, reruns = scores_MR.shape
    levels_M, shifts_R = scores_MR.mean(axis=1), scores_MR.mean(axis=0)
    left_MR = scores_MR - levels_M[:, None] - shifts_R + scores_MR.mean()
    within = float((left_MR**2).sum() / ((methods - 1) * (reruns - 1)))
    between = float(reruns * levels_M.var(ddof=1))
    freedom = (methods - 1, (methods - 1) * (reruns - 1))
    return Layout(
        names=tuple(names),
        scores_MR=scores_MR,
        run_variance=within,
        method_variance=max(0.0, (between - within) / reruns),
        p=float(f.sf(between / within, *freedom)) if within > 0 else 0.0,
    )


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's."""
    return float(spearmanr(one, other).statistic)
