"""Metrics of tagged sentences, with 95% bootstrap intervals.

Intervals resample sentences: errors within one are not independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from welltuned.metrics.base import (
    Metric,
    Predictions,
    Rows,
    Scores,
    Statistic,
    mean_f1,
    ratio,
    single_f1,
)
from welltuned.metrics.entities import Entity, Tags, find_entities


@dataclass(frozen=True)
class TagPredictions(Predictions):
    """A tag for each word of N sentences; None for a word that was never read, which is wrong."""

    name: ClassVar[str] = "tags"
    default_metric: ClassVar[str] = "accuracy"
    has_answers: ClassVar[bool] = False
    counted: ClassVar[str] = "words"

    true_N: Sequence[Tags]
    said_N: Sequence[Tags]
    names: tuple[str, ...]

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        true, said = ([row[key] for row in rows] for key in ("label", "prediction"))
        return cls(true, said, tuple(labels))

    def details(self) -> Scores:
        """Each tag's own scores."""
        sums_3K = _tag_counts(self).sum(axis=0).reshape(3, -1)
        return {
            "per_class": {
                name: _row(*sums) for name, sums in zip(self.names, sums_3K.T, strict=True)
            }
        }

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """The sentences with the most mistakes: what is there, and what was found instead."""
        mistakes = []
        for row in rows:
            true, found = cls._marks(row, "label"), cls._marks(row, "prediction")
            if wrong := len(set(true) ^ set(found)):
                shown = {"label": _in_words(true), "prediction": _in_words(found)}
                mistakes.append((wrong, {**row, **shown}))
        mistakes.sort(key=lambda mistake: -mistake[0])
        return [row for _, row in mistakes[:limit]]

    @classmethod
    def _marks(cls, row: dict[str, Any], key: str) -> list[tuple[str, int, str]]:
        """(word, its place, tag) of the wrong words."""
        pairs = zip(row["label"], row["prediction"], strict=True)
        wrong = [i for i, (label, prediction) in enumerate(pairs) if label != prediction]
        return [(row["words"][i], i, row[key][i] or "?") for i in wrong]


def _in_words(marks: list[tuple[str, int, str]]) -> list[str]:
    return [f"{words} ({kind})" for words, _, kind in marks] or ["nothing"]


@dataclass(frozen=True)
class EntityPredictions(TagPredictions):
    """Sentences whose tags mark entities. Found is one with exactly its words and its type."""

    name: ClassVar[str] = "entities"
    default_metric: ClassVar[str] = "entity_f1"

    @cached_property
    def entities(self) -> list[tuple[set[Entity], set[Entity]]]:
        """For each sentence the true entities and the predicted ones."""
        pairs = zip(self.true_N, self.said_N, strict=True)
        return [(set(find_entities(true)), set(find_entities(said))) for true, said in pairs]

    @cached_property
    def counts_N3(self) -> np.ndarray:
        """Found, true and predicted entities of each sentence."""
        counts = [[len(true & said), len(true), len(said)] for true, said in self.entities]
        return np.array(counts, dtype=np.float64)

    def details(self) -> Scores:
        """Each type's own scores."""
        hits, true, said = Counter[str](), Counter[str](), Counter[str]()
        for there, found in self.entities:
            hits.update(entity.type for entity in there & found)
            true.update(entity.type for entity in there)
            said.update(entity.type for entity in found)
        return {
            "per_type": {
                kind: _row(hits[kind], true[kind], said[kind]) for kind in sorted(true | said)
            }
        }

    @classmethod
    def _marks(cls, row: dict[str, Any], key: str) -> list[tuple[str, int, str]]:
        """(words, where they begin, type) of the entities."""
        return [
            (" ".join(row["words"][entity.start : entity.stop]), entity.start, entity.type)
            for entity in find_entities(row[key])
        ]


def _row(hits: float, true: float, predicted: float) -> Scores:
    return {
        "precision": _share(hits, predicted),
        "recall": _share(hits, true),
        "f1": _share(2 * hits, true + predicted),
        "support": int(true),
    }


def _share(part: float, whole: float) -> float:
    """0 where there is nothing to have a share of."""
    return float(part / whole) if whole else 0.0


def _word_accuracy(predictions: TagPredictions) -> Statistic:
    pairs = zip(predictions.true_N, predictions.said_N, strict=True)
    parts = [[sum(x == y for x, y in zip(a, b, strict=True)), len(a)] for a, b in pairs]
    return Statistic(np.array(parts, dtype=np.float64), ratio)


def _tag_counts(predictions: TagPredictions) -> np.ndarray:
    """Of each tag: hits, how often true, how often predicted (N, 3K)."""
    number = {name: k for k, name in enumerate(predictions.names)}
    counts_N3K = np.zeros((len(predictions.true_N), 3, len(number)))
    pairs = zip(counts_N3K, predictions.true_N, predictions.said_N, strict=True)
    for counts_3K, true, said in pairs:
        for right, predicted in zip(true, said, strict=True):
            counts_3K[1, number[str(right)]] += 1
            if predicted in number:
                counts_3K[2, number[predicted]] += 1
                counts_3K[0, number[predicted]] += right == predicted
    return counts_N3K.reshape(len(counts_N3K), -1)


_ACCURACY = Metric(name="accuracy", title="accuracy", statistic=_word_accuracy)

TagPredictions.scored_by(
    _ACCURACY,
    Metric(
        name="macro_f1",
        title="macro-F1",
        statistic=lambda predictions: Statistic(_tag_counts(predictions), mean_f1),
    ),
)
EntityPredictions.scored_by(
    Metric(
        name="entity_f1",
        title="entity F1",
        statistic=lambda predictions: Statistic(predictions.counts_N3, single_f1),
    ),
    Metric(
        name="entity_precision",
        title="entity precision",
        statistic=lambda predictions: Statistic(predictions.counts_N3[:, [0, 2]], ratio),
    ),
    Metric(
        name="entity_recall",
        title="entity recall",
        statistic=lambda predictions: Statistic(predictions.counts_N3[:, [0, 1]], ratio),
    ),
    _ACCURACY,
)
