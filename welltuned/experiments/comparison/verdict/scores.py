"""Scores with what they rest on: the test examples, and the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from welltuned.metrics.base import Statistic, resampled
from welltuned.metrics.folds import FoldStatistic


@dataclass(frozen=True)
class ResampledScore:
    """A strategy's headline score, so that more is better, with what it rests on."""

    values_S: np.ndarray
    """By seed."""
    resampled_R: np.ndarray
    """The mean over seeds, for each of R resamples of the test examples."""
    influence_SN: np.ndarray
    """How far each example moves the score of each seed; the mean of a row is zero."""
    folds_N: np.ndarray | None = None
    """The fold that each example was tested in, if any."""

    @property
    def mean(self) -> float:
        return float(self.values_S.mean())

    @property
    def seeds(self) -> int:
        return len(self.values_S)

    @property
    def examples(self) -> int:
        return self.influence_SN.shape[1]

    @property
    def influence_N(self) -> np.ndarray:
        """How far each example moves the mean over seeds."""
        mean_N: np.ndarray = self.influence_SN.mean(axis=0)
        return mean_N

    @property
    def examples_variance(self) -> float:
        """Of the mean over seeds, by the sample of test examples."""
        return float(self.resampled_R.var(ddof=1))

    def examples_variance_beside(self, other: ResampledScore) -> float:
        """Of how far the mean is above another, by the sample of test examples."""
        return float((self.resampled_R - other.resampled_R).var(ddof=1))

    def training_sets(self, than: ResampledScore | None = None) -> tuple[float, float]:
        """(the variance by training sets, its degrees of freedom) of the mean, or of how far it is
        above another; 0 where there are no folds to tell."""
        if self.folds_N is None:
            return 0.0, inf
        influence_N = self.influence_N - (0.0 if than is None else than.influence_N)
        found = FoldStatistic.of(influence_N, self.folds_N)
        return found.variance, float(found.degrees)

    @property
    def within_seed_variance(self) -> float:
        """Of one seed's score, by what the sample of examples does to it alone.

        Other test examples would move seeds apart as these do, so it is part of both the examples'
        variance and that from seed to seed, and counts once. 0 where there is one seed.
        """
        if self.seeds < 2:
            return 0.0
        return float(self.influence_SN.var(axis=0, ddof=1).mean() / self.examples)

    @property
    def is_deterministic(self) -> bool:
        """Whether all of several seeds answer alike: no seed would answer otherwise."""
        return self.seeds > 1 and not np.ptp(self.values_S) and not self.within_seed_variance


def score_all(
    statistics: Mapping[str, Sequence[Statistic]], sign: float, folds_N: np.ndarray | None = None
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
            influence_SN=sign * np.array([part.influence() for part in parts]),
            folds_N=folds_N,
        )
        for name, parts in statistics.items()
    }
