"""What automatic tuning tried: batch sizes and learning rates."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Config, Number
from welltuned.schema.messages import Message


@with_config(CLOSED)
class BatchSizeTry(TypedDict):
    """A batch size that was tried."""

    size: int
    """Examples per pass."""
    examples_per_second: float | None
    """Its speed; null where it does not fit into memory."""


@with_config(CLOSED)
class BatchSizeSearch(TypedDict):
    """How `per_device_train_batch_size: auto` was settled."""

    tries: list[BatchSizeTry]
    """All sizes that were tried."""
    size: int
    """The one that was taken."""
    reason: str
    """Why."""


@with_config(CLOSED)
class LearningRateSearch(TypedDict):
    """How `learning_rate: find` was settled: a range test."""

    rates: list[float]
    """The learning rate of each step."""
    losses: list[Number]
    """The loss of each step, before it was taken."""
    smoothed: list[Number]
    """The same, smoothed."""
    suggestion: float
    """The learning rate that was taken."""
    reason: Message
    """Why."""


@with_config(CLOSED)
class RangeTestResult(LearningRateSearch):
    """`range_test.json`, which `welltuned tune lr` writes."""

    strategy: Config
    """The strategy, with all options."""
    model: str
    """The model's name."""
    data: str
    """The file of examples."""


@with_config(CLOSED)
class RehearsalRecord(TypedDict):
    """What was done once, at its largest, before a long training began."""

    batch_size: int
    """Examples of a micro-batch: as many as were asked for, or as fit into memory."""
    tokens: int
    """Tokens of each in the longest."""
    step_seconds: float
    """Seconds of its forward and backward pass."""
    evaluation_seconds: float
    """Seconds of the evaluation batch of the longest texts."""
    save_seconds: float
    """Seconds of a save."""
    peak_memory_bytes: int
    """The most memory held: on a GPU by tensors, else by the process."""


@with_config(CLOSED)
class AutoTuned(TypedDict, total=False):
    """What was tried to settle hyper-parameters; empty when nothing was to be found."""

    batch_size: BatchSizeSearch
    """The batch size."""
    learning_rate: LearningRateSearch
    """The learning rate."""
    rehearsal: RehearsalRecord
    """The rehearsal of a long training."""
