"""The options that every task has which tunes a generator by judgements of its answers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from welltuned.data.layouts.preferences import RECORD_ROLES
from welltuned.data.records import Role
from welltuned.errors import Faults
from welltuned.tasks.base import Task
from welltuned.tasks.generation import Decoding
from welltuned.tasks.responder import ScoredExamples
from welltuned.tasks.responses import Form


class DirectAlignment(Task):
    """Options of all of them."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES
    proposed_kind: ClassVar[Literal["encoder", "decoder"]] = "decoder"

    form: Form = "auto"
    """How prompt and response become one text: through the chat template, or plain, one after
    the other. auto: through the template where the tokenizer has one."""
    decoding: Decoding = Decoding()
    """How answers are generated in tests and predictions."""
    scored_examples: ScoredExamples = 20
    """How many test prompts are answered, before and after: the first so many. auto: all, or as
    many of them, drawn at random, as `evaluation.answering_time` allows."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens of prompt and response together. auto: the model's limit, at most 512. The beginning
    of the prompt is truncated first."""


def refuse_label_smoothing(label_smoothing: float, remedy: str, faults: Faults) -> None:
    """Record that `training.label_smoothing_factor` is of labels; `remedy` says what is not."""
    if label_smoothing:
        faults.add(
            "task.label_smoothing_of_preferences",
            "'training.label_smoothing_factor' does not apply to preferences",
            None,
            remedy,
        )
