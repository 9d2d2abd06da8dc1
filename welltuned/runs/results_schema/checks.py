"""What was checked after training: the proof of the artifact, and the diagnosis of the curves."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED
from welltuned.schema.messages import Message


@with_config(CLOSED)
class ProofRecord(TypedDict):
    """What was shown after training: only what should train has moved, and it was saved."""

    frozen_weights: int
    """Tensors that must not change."""
    frozen_moved: int
    """Those of them that did; always 0 in a finished run."""
    trainable_weights: int
    """Tensors that train."""
    trainable_moved: int
    """Those of them that changed."""
    all_finite: bool
    """Whether every weight is a number."""
    reloaded_examples: int
    """Validation examples that the saved model was tried on."""
    reloaded_difference: float
    """The greatest difference of any output between the trained and the reloaded model."""


@with_config(CLOSED)
class AnswerEnd(TypedDict):
    """Whether the tuned model knows where an answer ends, tried on one validation example."""

    id: str
    """The example."""
    tokens: int | None
    """The tokens of its answer; null where it did not end."""
    max_new_tokens: int
    """How many it was given."""
    end_was_learned: bool
    """Whether the answers that were learned had a token that ends generation."""


Pathology = Literal[
    "diverged", "spiked", "collapsed", "overfitted", "cut short", "underfitted", "plateaued",
    "endless",
]  # fmt: skip


@with_config(CLOSED)
class FindingRecord(TypedDict):
    """A fault of training: what shows it, and what to try."""

    fault: Pathology
    """What is wrong, in a word."""
    evidence: Message
    """What shows it."""
    advice: Message
    """What to try."""
    command: str
    """The command that tries it."""


@with_config(CLOSED)
class Diagnosis(TypedDict):
    """What the curves of the run tell."""

    verdict: str
    """The fault in a word, or `healthy`."""
    finding: FindingRecord | None
    """The fault with its evidence; null where there is none."""
    evidence: NotRequired[Message]
    """What shows that there is none, where no curve does: the optimum of a head."""
