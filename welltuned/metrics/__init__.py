"""Metrics: each one object with its direction, interval and words; without torch.

They come in families by what they read, such as one label or a number (`Predictions`).

To add a metric, name one `Metric` in its family's `scored_by`: training, comparisons, reports and
the terminal follow; a plug-in's says of which family it is. To add a family, write a subclass of
`Predictions` and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from welltuned.errors import Fault, InputError
from welltuned.metrics.base import METRICS, Metric, Predictions, Row, Rows, Scores, Statistic, score
from welltuned.metrics.classification import ClassPredictions, LabelSetPredictions
from welltuned.metrics.language_modelling import TokenPredictions
from welltuned.metrics.preferences import PairPredictions
from welltuned.metrics.regression import NumberPredictions
from welltuned.metrics.tags import EntityPredictions, TagPredictions
from welltuned.metrics.text import TextPredictions

FAMILIES: dict[str, type[Predictions]] = {
    family.name: family
    for family in (
        ClassPredictions,
        LabelSetPredictions,
        NumberPredictions,
        TagPredictions,
        EntityPredictions,
        TokenPredictions,
        PairPredictions,
        TextPredictions,
    )
}
"""What data.json names, by name."""


def family_of(task: Mapping[str, object]) -> type[Predictions]:
    """How predictions are read, from the facts that data.json holds of the task.

    Raises `InputError` for a family that is not known here.
    """
    name = task.get("predictions")
    if name not in FAMILIES:
        raise InputError(
            Fault(
                "metric.predictions_unknown",
                "data.json names the predictions '{name}', which cannot be read here",
                None,
                "install the plug-in that wrote them, or run again; known are {known}",
                name=name,
                known=", ".join(FAMILIES),
            )
        )
    return FAMILIES[name]


def every_metric() -> Iterator[Metric]:
    """All metrics of all families; those of one name agree in direction and words."""
    for family in FAMILIES.values():
        yield from family.metrics


def metric_named(name: str) -> Metric | None:
    """The metric that results.json names so; None for a user's own, and for what is no metric."""
    return next((metric for metric in every_metric() if metric.name == name), None)


def lower_is_better(name: str) -> bool:
    """Whether less of this score is better. A user's own metric: more is."""
    metric = metric_named(name)
    return metric is not None and metric.lower_is_better


def is_better(name: str, one: float, other: float) -> bool:
    """Whether one score is better than another."""
    return one < other if lower_is_better(name) else one > other


__all__ = [
    "FAMILIES",
    "METRICS",
    "ClassPredictions",
    "EntityPredictions",
    "LabelSetPredictions",
    "Metric",
    "NumberPredictions",
    "PairPredictions",
    "Predictions",
    "Row",
    "Rows",
    "Scores",
    "Statistic",
    "TagPredictions",
    "TextPredictions",
    "TokenPredictions",
    "every_metric",
    "family_of",
    "is_better",
    "lower_is_better",
    "metric_named",
    "score",
]
