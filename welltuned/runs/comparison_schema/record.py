"""`comparison.json`: what was asked, what was settled for all, and how every cell stands."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema import CLOSED, Config
from welltuned.schema.messages import Message

BESIDE = " · "
"""Between the name of a strategy or a baseline and its model's, where several are compared."""


@with_config(CLOSED)
class CellRecord(TypedDict):
    """How a cell, which is a strategy with a seed, stands."""

    seed: int
    """Its seed."""
    folder: str
    """Its run, as seen from the comparison's folder."""
    state: str
    """`waiting`, `running`, `finished`, `failed`, `stopped`; `dropped` where it is not needed."""
    seconds: float | None
    """Seconds its process took; null before it has ended."""
    error: str | None
    """Why it failed."""


@with_config(CLOSED)
class StrategyRecord(TypedDict):
    """How a strategy stands."""

    name: str
    """Its name for people."""
    slug: str
    """Its name in paths."""
    model: NotRequired[str | None]
    """What its model is called, where several are compared."""
    impossible: str | None
    """Why it cannot work with this model and task, where it cannot."""
    cells: list[CellRecord]
    """One a seed."""


@with_config(CLOSED)
class SplitRecord(TypedDict):
    """A split of the data."""

    rows: int
    """How many examples."""
    fingerprint: str
    """A hash of them."""


@with_config(CLOSED)
class DataRecord(TypedDict):
    """The data that all cells share."""

    fingerprint: str
    """A hash of all splits."""
    splits: dict[str, SplitRecord]
    """By name."""


@with_config(CLOSED)
class BudgetRecord(TypedDict):
    """What the cells of a strategy may spend."""

    steps_per_epoch: int
    """Optimizer steps of a pass over the training examples."""
    max_steps: int | None
    """Steps, where they are the budget."""
    epochs: float | None
    """Epochs, where they are the budget."""
    eval_steps: int | None
    """Steps from one validation to the next; null for once an epoch."""


@with_config(CLOSED)
class Scouted(TypedDict):
    """What was found out before the first cell."""

    metric: str
    """The score that is compared."""
    spending: dict[str, BudgetRecord]
    """Each strategy's budget, by its name."""
    impossible: dict[str, str]
    """Why some cannot work, by name."""
    missing: NotRequired[list[str]]
    """The labels of models that could not be had, and are looked for again the next time."""
    seconds: NotRequired[float]
    """How long that took."""


@with_config(CLOSED)
class ModelRecord(TypedDict):
    """A model that was named, or proposed where none was."""

    name: str
    """As a config names it, with what is set besides."""
    label: str
    """What rows call it where several are compared."""
    here: bool
    """Whether it can be had, and takes part."""
    note: Message | None
    """Why it was proposed, or why it does not take part."""


@with_config(CLOSED)
class ModelSettings(TypedDict):
    """What was settled once for all cells of a model."""

    precision: str
    """What they train in."""
    pooling: str
    """What a new head reads."""


@with_config(CLOSED)
class SharedSettings(TypedDict, total=False):
    """What was settled once, for all cells."""

    precision: str
    """What they train in; where several models are compared, those of the first one."""
    pooling: str
    """What a new head reads; where several models are compared, that of the first one."""
    models: dict[str, ModelSettings]
    """The same of each model, by its name, where several are compared."""
    device: str
    """What they train on."""
    memory_bytes: int
    """What one is expected to hold, before any has ended."""
    threads: int
    """Threads of each on a CPU."""
    key: str
    """A hash of what this was settled from."""


@with_config(CLOSED)
class TunedRecord(TypedDict):
    """The best of a strategy's trials."""

    key: str
    """A hash of what was tried."""
    trials: int
    """How many trials."""
    values: Config
    """The best values, by key."""
    metric: str
    """The validation score that chose."""
    score: float
    """The best trial's."""
    usual: float | None
    """That of the values as configured, where they were tried."""
    seconds: float
    """Seconds of all trials; CPU seconds of those that ran beside others."""


@with_config(CLOSED)
class ComparisonRecord(TypedDict):
    """`comparison.json`: what was asked, what was settled for all, and how every cell stands."""

    schema_version: int
    """The version of this format."""
    key: str
    """A hash of what the scouting depends on."""
    asked: Config
    """The config of the comparison."""
    report: Config
    """How the report is written."""
    command: str | None
    """The command that began it."""
    code: str
    """A hash of the code that decides results."""
    data: DataRecord
    """The data that all cells share."""
    metric: str
    """The score that is compared."""
    scouted: Scouted
    """What was found out before the first cell."""
    models: NotRequired[list[ModelRecord]]
    """The models that were named or proposed."""
    settled: SharedSettings
    """What was settled for all cells; empty before that."""
    tuned: dict[str, TunedRecord]
    """The best trials of each strategy, with `tune`."""
    state: str
    """`running`, `finished`, `failed` or `stopped`."""
    rows: list[StrategyRecord]
    """Every strategy."""
