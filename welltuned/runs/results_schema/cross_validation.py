"""What a run with folds holds beside a run: its folds, and its final model."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Scores


@with_config(CLOSED)
class FoldRecord(TypedDict):
    """The run of one fold."""

    run: str
    """Its folder, as seen from that of the whole."""
    examples: int
    """How many examples it was tested on: those of its fold."""
    scores: Scores
    """Its scores on them, but for tables."""


@with_config(CLOSED)
class CrossValidation(TypedDict):
    """The runs of a cross-validation; `test` has the scores of all their answers together."""

    folds: list[FoldRecord]
    """By fold, from 0."""
    examples: int
    """Examples of all folds, each tested once."""
    training_deviation: dict[str, float]
    """By score: the standard deviation from one training set to another, as far as folds differ by
    more than their test examples explain. It is part of the intervals."""
    train_seconds: float
    """Seconds of training of all runs; `cost` has those of one, the mean over folds."""
    final: str | None
    """The run on all folds, as seen from this folder: its model is that of the whole. Null in a
    comparison, which trains none."""
