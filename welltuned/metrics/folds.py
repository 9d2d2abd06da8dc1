"""Scores of a cross-validation, with intervals that know about folds.

Every example is answered once, by the model of the fold that held it out. These answers are scored
together: a macro-F1 of 30 examples says little, and the mean of such is biased (Forman & Scholz
2010). Two things make that score vary.

Examples. They are resampled as those of any test split are. For the models of these folds that is
all (Bayle et al. 2020, arXiv 2007.12671).

Training sets. Models that had learned from other examples would have other scores. What one
training set adds shows in how far folds differ by more than their examples explain: a one-way
analysis of variance of the examples' influences. The folds' training sets have most of their
examples in common, so a mean over k folds does not divide that variance by k. It is multiplied by
1/k + 1/(k - 1), which is 1/k and the size of a fold over that of its training set (Nadeau & Bengio
2003, who multiply all variance between folds so; here, what examples explain is not counted twice).

Both parts are added, with Welch's and Satterthwaite's degrees of freedom: five folds know little of
training sets. No estimator of the variance of a cross-validation is unbiased (Bengio & Grandvalet
2004); `docs/cross-validation.md` says how often these intervals cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from welltuned.metrics.base import Metric, Predictions, Rows, Scores, score

FOLD = "fold"
"""The key in rows of `predictions.jsonl` that says which fold an example was in."""


def folds_of(rows: Rows) -> np.ndarray | None:
    """The fold of each row (N); None where they are of one test split."""
    if not rows or FOLD not in rows[0]:
        return None
    return np.array([row[FOLD] for row in rows])


@dataclass(frozen=True)
class FoldStatistic:
    """A score, or a difference of two, fold by fold."""

    effects_K: np.ndarray
    """How far each fold is from the score of all examples, to first order."""
    sizes_K: np.ndarray
    """The examples of each fold."""
    within: float
    """The variance of an example's influence within its fold."""

    @classmethod
    def of(cls, influence_N: np.ndarray, folds_N: np.ndarray) -> FoldStatistic:
        """From how far each example moves the score (`Statistic.influence`), and its fold."""
        _, folds_N, sizes_K = np.unique(folds_N, return_inverse=True, return_counts=True)
        effects_K = np.bincount(folds_N, weights=influence_N) / sizes_K
        squares = float(((influence_N - effects_K[folds_N]) ** 2).sum())
        spare = len(influence_N) - len(sizes_K)
        return cls(effects_K, sizes_K, squares / spare if spare else np.inf)

    @property
    def training_variance(self) -> float:
        """How much the score varies with the training set; 0 where examples explain all."""
        count, degrees = self.sizes_K.sum(), self.degrees
        between = float((self.sizes_K * self.effects_K**2).sum()) / degrees
        usual_size = float(count - (self.sizes_K**2).sum() / count) / degrees
        return max(0.0, (between - self.within) / usual_size)

    @property
    def variance(self) -> float:
        """What training sets add to the variance of the score of all examples."""
        return self.training_variance * _overlap(len(self.sizes_K))

    @property
    def degrees(self) -> int:
        """Degrees of freedom of that variance."""
        return len(self.sizes_K) - 1


def _overlap(folds: int) -> float:
    """What the variance between folds is multiplied by for that of their mean."""
    return 1 / folds + 1 / (folds - 1)


def pooled_scores(
    family: type[Predictions], labels: Sequence[str], rows: Rows, by_fold: Sequence[Scores]
) -> Scores:
    """Scores of all rows together, with intervals; `by_fold` has those of each fold.

    A score that the rows do not tell is the mean over folds.
    """
    folds_N = folds_of(rows)
    scores: Scores = {}
    if folds_N is not None:
        predictions = family.from_rows(rows, labels)
        told = [one for one in family.metrics if one.statistic(predictions) is not None]
        scores = score(predictions, metrics=told)
        for metric in (one for one in told if one.has_interval):
            scores[f"{metric.name}_ci95"] = _interval(metric, predictions, folds_N)
    for name in (name for name in by_fold[0] if name not in scores):
        values = [one.get(name) for one in by_fold]
        if all(isinstance(value, float) for value in values):
            scores |= _mean(name, np.array(values), f"{name}_ci95" in by_fold[0])
    return scores


def training_deviations(
    family: type[Predictions], labels: Sequence[str], rows: Rows
) -> dict[str, float]:
    """By score: the standard deviation from one training set to another."""
    folds_N = folds_of(rows)
    if folds_N is None:
        return {}
    predictions = family.from_rows(rows, labels)
    found = ((one.name, one.statistic(predictions)) for one in family.metrics)
    return {
        name: FoldStatistic.of(part.influence(), folds_N).training_variance ** 0.5
        for name, part in found
        if part is not None
    }


def _interval(metric: Metric, predictions: Predictions, folds_N: np.ndarray) -> list[float]:
    """The interval over examples, made wider by what training sets add."""
    statistic = metric.statistic(predictions)
    assert statistic is not None
    low, high = metric.interval(predictions)
    wider = widening(statistic.influence(), folds_N)
    if wider == 1.0:
        return [low, high]
    middle, half = (low + high) / 2, wider * (high - low) / 2
    return list(metric.within_bounds(middle - half, middle + half))


def widening(influence_N: np.ndarray, folds_N: np.ndarray) -> float:
    """How many times as wide an interval over examples is that counts training sets too."""
    from scipy.stats import t

    part, number = FoldStatistic.of(influence_N, folds_N), len(influence_N)
    examples = float(influence_N.var() / number)
    if not examples or not part.variance:
        return 1.0
    whole = examples + part.variance
    squares = examples**2 / (number - 1) + part.variance**2 / part.degrees
    reach = t.ppf(0.975, whole**2 / squares) / t.ppf(0.975, number - 1)
    return float(reach * np.sqrt(whole / examples))


def _mean(name: str, values_K: np.ndarray, with_interval: bool) -> Scores:
    """A score as the mean over folds, by the corrected t test (Nadeau & Bengio 2003)."""
    from scipy.stats import t

    mean, folds = float(values_K.mean()), len(values_K)
    if not with_interval:
        return {name: mean}
    half = float(t.ppf(0.975, folds - 1) * np.sqrt(_overlap(folds) * values_K.var(ddof=1)))
    return {name: mean, f"{name}_ci95": [mean - half, mean + half]}
