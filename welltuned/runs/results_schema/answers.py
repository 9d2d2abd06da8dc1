"""Which answers in free text were scored, where time decided how many."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED


@with_config(CLOSED)
class AnsweredExamples(TypedDict):
    """How many examples were answered in free text, in the time that there was."""

    number: int
    """Examples that were answered; where not all were, they were drawn at random. Scores of free
    text are of these, and their intervals are as wide as so few examples make them."""
    of: int
    """Examples of the split."""
    seconds: float
    """What the answers took."""
    allowed_seconds: float
    """What they were allowed to take (`evaluation.answering_time`)."""
    untrained: NotRequired[int]
    """How many the untrained model answered in as much time."""


@with_config(CLOSED)
class Answered(TypedDict):
    """Which answers a model that writes text is scored by."""

    answered: NotRequired[AnsweredExamples]
    """Where `task.scored_examples` is auto: how many examples of the split were answered."""
