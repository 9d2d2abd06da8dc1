"""What a run started from."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED


@with_config(CLOSED)
class StartingHead(TypedDict):
    """What became of the head that the base model came with."""

    outcome: Literal["kept", "extended", "new"]
    """Whether the rows of all, some or none of the task's labels were in it."""
    kept: list[str]
    """Labels whose rows were kept."""
    initialised: list[str]
    """Labels whose rows are new."""
    dropped: list[str]
    """Labels of the base model that the task does not have."""


@with_config(CLOSED)
class StartingPoint(TypedDict):
    """What a run took over from its base model."""

    run: NotRequired[str]
    """The run that it goes on from."""
    merged_into: NotRequired[str]
    """Where the base was an adapter: the base model that this was merged into."""
    quantization: NotRequired[Literal["nf4", "int8"]]
    """How the linear layers of its blocks were held, where they were quantised."""
    pooling: NotRequired[str]
    """The base model's own pooling, where it was kept."""
    head: NotRequired[StartingHead]
    """What became of its head, where it had one for labels."""


@with_config(CLOSED)
class StartedFrom(TypedDict):
    """Where a run began."""

    start: NotRequired[StartingPoint]
    """What was taken over from a base model that had been tuned before, and how it was held."""
