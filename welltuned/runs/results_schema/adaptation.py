"""What a run's model has read before it learned the task."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Number
from welltuned.runs.results_schema.retention import Retention


@with_config(CLOSED)
class Adaptation(TypedDict):
    """How a base model was adapted to unlabelled texts."""

    key: str
    """A hash of what the adapted model follows from; it names its folder."""
    base: str
    """The model that was adapted."""
    objective: Literal["masked", "causal"]
    """What was foretold: hidden tokens, or next ones."""
    texts: int
    """Texts that were read, each once an epoch."""
    notes: list[str]
    """What was found in them, such as texts that were left out, counted."""
    new_tokens: int
    """Words that became tokens."""
    tokens_saved: float
    """The share of the texts' tokens that these saved."""
    loss_before: Number
    """The base's loss per token on texts like those that were read, held out from them."""
    loss: Number
    """The adapted model's loss on the same."""
    output_layer_built: bool
    """Whether the base had no output layer for hidden tokens, so that `loss_before` and losses in
    `retention` say nothing of what it knew."""
    epochs: float
    """Passes over the texts."""
    seconds: float
    """Seconds of training, once for all runs that start from the adapted model."""
    retention: NotRequired[Retention]
    """What the adapted model still can of what the base could, where that is measured."""
