"""A metric is one object: its name, its direction, how it is computed and resampled, its words.

Metrics come in families. A family (`Predictions`) is a kind of prediction, such as one label
or a number, with the true answers beside it; it is made from a model's outputs or read back
from the rows of `predictions.jsonl`, and everything a metric needs follows from it. To add a
metric, name one more `Metric` in its family's `scored_by`, or in an entry point of a package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from welltuned.metrics.intervals import interval_at_bound, percentile_interval, resampled_sums
from welltuned.schema.plugins import Plugin, PluginError, Registry

Row = Mapping[str, Any]
"""One prediction, as `predictions.jsonl` holds it."""
Rows = Sequence[Row]
Scores = dict[str, Any]
_STEP = 1e-4


@dataclass(frozen=True)
class Statistic:
    """A score as a function of sums over examples.

    Accuracy is one of hits and counts, macro-F1 of each class's hits, truths and predictions,
    R² of squared errors. A resample then draws examples and never reads a prediction twice,
    and how the score changes with one example is known too.
    """

    parts_NM: np.ndarray
    """What each example adds."""
    measure: Callable[[np.ndarray], np.ndarray]
    """Scores (R) from sums (R, M)."""

    @property
    def value(self) -> float:
        """The score of all examples."""
        return float(self.measure(self.parts_NM.sum(axis=0)[None])[0])

    def resampled(self) -> np.ndarray:
        """The score of each of R resamples of the examples."""
        return self.measure(resampled_sums(self.parts_NM))

    def influence(self) -> np.ndarray:
        """How much each example (N) moves the score away from its mean, to first order.

        The values have a mean of zero; for a plain mean they are its terms less the mean.
        """
        sums_M = self.parts_NM.sum(axis=0)
        steps_M = _STEP * np.maximum(np.abs(sums_M), 1.0)
        upper, lower = sums_M + np.diag(steps_M), sums_M - np.diag(steps_M)
        slopes_M = (self.measure(upper) - self.measure(lower)) / (2 * steps_M)
        influence_N = self.parts_NM @ slopes_M * len(self.parts_NM)
        return influence_N - influence_N.mean()


@dataclass(frozen=True)
class Metric:
    """One score of predictions.

    `statistic` alone is enough: value, interval and comparisons follow from it. `compute` and
    `resample` take precedence where a library defines the value, or resampling is cheaper
    another way.
    """

    name: str
    """Its key in results.json; `training.metric_for_best_model` names it so."""
    title: str
    """What people call it, in English: the key of its translations."""
    statistic: Callable[[Any], Statistic | None]
    """The score from the parts of each example; None where the rows do not hold them."""
    compute: Callable[[Any], float] | None = None
    """The value, where it is not the statistic's."""
    resample: Callable[[Any], np.ndarray] | None = None
    """Values (R) of resampled examples, where they are not the statistic's."""
    has_interval: bool = True
    """Whether results.json gives a 95% interval."""
    lower_is_better: bool = False
    bounds: tuple[float, float] = (0.0, 1.0)
    """The least and the greatest value there can be; no interval reaches beyond."""
    family: str | None = None
    """For a plug-in: the name of the `Predictions` that it scores."""

    def value(self, predictions: Predictions) -> float:
        if self.compute is not None:
            return self.compute(predictions)
        return self._statistic(predictions).value

    @property
    def is_share(self) -> bool:
        """Whether 1 is the best there can be, so that a bar can be drawn."""
        return self.bounds[1] == 1.0

    def interval(self, predictions: Predictions) -> list[float]:
        """The 95% interval: by bootstrap, or exact where every example is right, or none."""
        resample = self.resample or (lambda given: self._statistic(given).resampled())
        low, high = percentile_interval(resample(predictions))
        if self.bounds == (0.0, 1.0) and low == high and low in self.bounds:
            statistic = self.statistic(predictions)
            if statistic is not None:
                return interval_at_bound(low, len(statistic.parts_NM))
        return [low, high]

    def within_bounds(self, low: float, high: float) -> tuple[float, float]:
        """An interval, cut where no value can be."""
        return max(low, self.bounds[0]), min(high, self.bounds[1])

    def is_better(self, one: float, other: float) -> bool:
        """Whether one score is better than another."""
        return one < other if self.lower_is_better else one > other

    def _statistic(self, predictions: Predictions) -> Statistic:
        statistic = self.statistic(predictions)
        assert statistic is not None, f"{self.name} needs a statistic, or `compute` and `resample`"
        return statistic


class _Metrics(Registry[Metric]):
    """Every metric by its name, and those of packages by the family that they score."""

    def __init__(self) -> None:
        super().__init__("metrics", Metric, {})
        self.by_family: dict[str, tuple[Metric, ...]] = {}
        """Our own."""

    def declare(self, family: str, metrics: tuple[Metric, ...]) -> None:
        self.by_family[family] = metrics
        self.own.update({metric.name: metric for metric in metrics})

    def added_to(self, family: str) -> tuple[Metric, ...]:
        """What packages add to a family; one that is broken adds nothing.

        Whoever scores asks `check_all` first; a report of older scores needs no package.
        """
        added = list(self.usable())[len(self.own) :]
        return tuple(metric for metric in added if metric.family == family)

    def _checked(self, plugin: Plugin) -> Metric:
        metric = super()._checked(plugin)
        if metric.family not in self.by_family:
            raise PluginError(
                "plugin.family_unknown",
                plugin,
                "there are no predictions '{family}' for it to score",
                "make its family one of {known}",
                family=metric.family,
                known=", ".join(self.by_family),
            )
        return metric


METRICS = _Metrics()


class _AllMetrics:
    """A family's own metrics, then those of plug-ins."""

    def __get__(
        self, predictions: Predictions | None, family: type[Predictions]
    ) -> tuple[Metric, ...]:
        return (*METRICS.by_family[family.name], *METRICS.added_to(family.name))


class Predictions(ABC):
    """N predictions beside the truth: what the metrics of a family read."""

    name: ClassVar[str]
    """What data.json calls the family."""
    metrics: ClassVar = _AllMetrics()
    """In the order in which people read them; those of plug-ins come last."""
    default_metric: ClassVar[str]
    """The score that chooses where nothing else is asked for."""
    has_confidence: ClassVar[bool] = False
    """Whether each row has one prediction, right or wrong, with its probability."""
    has_label_probabilities: ClassVar[bool] = False
    """Whether each row has the probability of every label, by name."""
    has_answers: ClassVar[bool] = True
    """Whether each row has one answer, `prediction`, to be set beside its `label`."""
    has_mistakes: ClassVar[bool] = True
    """Whether there is such a thing as a mistake, for `mistakes`."""
    counted: ClassVar[str] = "examples"
    """What the support of a class counts."""
    are_numbers: ClassVar[bool] = False
    """Whether those are numbers, right to a degree."""
    are_pairs: ClassVar[bool] = False
    """Whether each row compares two responses."""

    @classmethod
    def scored_by(cls, *metrics: Metric) -> None:
        """Say which metrics there are of the family, in the order in which people read them."""
        METRICS.declare(cls.name, metrics)

    @classmethod
    @abstractmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        """The same, read back from `predictions.jsonl`; `labels` are the classes in order."""

    def details(self) -> Scores:
        """What results.json tells beside the metrics, such as the scores of each class."""
        return {}

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """The worst mistakes, as a report shows them."""
        return []


def score(
    predictions: Predictions, intervals: bool = False, metrics: Sequence[Metric] | None = None
) -> Scores:
    """The metrics, of the family unless named; `NAME_ci95` beside NAME with `intervals`."""
    metrics = predictions.metrics if metrics is None else metrics
    scores: Scores = {metric.name: metric.value(predictions) for metric in metrics}
    scores |= predictions.details()
    if intervals:
        scores |= {
            f"{metric.name}_ci95": metric.interval(predictions)
            for metric in metrics
            if metric.has_interval
        }
    return scores


# --- Statistics that several families share -----------------------------------------


def mean_of(values_N: np.ndarray) -> Statistic:
    """The mean of one number an example."""
    parts_N2 = np.stack([values_N, np.ones(len(values_N))], axis=1).astype(np.float64)
    return Statistic(parts_N2, ratio)


def ratio(sums_RM: np.ndarray) -> np.ndarray:
    """The first sum over the second (R); 0 where that is 0."""
    whole = sums_RM[:, 1]
    return np.divide(sums_RM[:, 0], whole, out=np.zeros(len(sums_RM)), where=whole > 0)


def f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 from counts of any shape; 0 where a class is neither there nor predicted."""
    whole = true + predicted
    return np.divide(2 * hits, whole, out=np.zeros(np.shape(hits)), where=whole > 0)


def mean_f1(sums_RM: np.ndarray) -> np.ndarray:
    """Macro-F1 (R) from hits, truths and predictions of each class, side by side (R, 3K)."""
    return f1(*np.split(sums_RM, 3, axis=1)).mean(axis=1)


def single_f1(sums_R3: np.ndarray) -> np.ndarray:
    """F1 (R) from hits, truths and predictions."""
    return f1(*sums_R3.T)


def class_counts(true_NK: np.ndarray, said_NK: np.ndarray) -> np.ndarray:
    """Of each class: hits, how often true, how often predicted (N, 3K)."""
    return np.concatenate([true_NK & said_NK, true_NK, said_NK], axis=1).astype(np.float64)


def resampled(statistics: Sequence[Statistic]) -> np.ndarray:
    """Scores (T, R) of T statistics, for resamples of the examples that are the same for all."""
    sums_RM = resampled_sums(np.concatenate([part.parts_NM for part in statistics], axis=1))
    ends = np.cumsum([part.parts_NM.shape[1] for part in statistics])[:-1]
    split = np.split(sums_RM, ends, axis=1)
    return np.stack([part.measure(own) for part, own in zip(statistics, split, strict=True)])
