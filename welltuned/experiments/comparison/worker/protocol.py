"""Wire protocol between a worker and its parent: events as JSON lines, and data in a folder."""

from __future__ import annotations

from typing import Any, TypedDict

_HERE = __name__.rpartition(".")[0]
SCOUT = f"{_HERE}.feasibility:check_feasibility"
BASELINES = f"{_HERE}.baselines:run_baselines"
RLHF = f"{_HERE}.final_policy:carry_out_pipeline"
ADAPT_MODEL = f"{_HERE}.adapting:adapt_model"
"""Who carries a request out; imported in its process alone."""


class Candidate(TypedDict):
    """A variant whose feasibility is asked for."""

    name: str
    config: dict[str, Any]
    pipeline: dict[str, Any] | None


class StaticSource(TypedDict):
    """A static embedding that is here."""

    name: str
    """As it was named."""
    path: str
    """The folder of its files."""


class Request(TypedDict, total=False):
    """What a worker is asked to do. Each `do` has keys of its own."""

    do: str
    """Who does it: `SCOUT`, `BASELINES`, `RLHF`, `ADAPT_MODEL`, or `TRAIN` of the executors."""
    data: str
    """The folder of what the comparison's processes have read and tokenised."""
    folder: str
    """Where to write what is no cell."""
    config: dict[str, Any]
    """A run's config, as its file would hold it."""
    pipeline: dict[str, Any]
    """Of `RLHF`: the config of all stages."""
    command: str | None
    """What a report says would do the same."""
    model_label: str | None
    """Of `BASELINES`: what the untouched model is called, where several are compared."""
    of_model_alone: bool
    """Of `BASELINES`: leave out those that read no model, for they are there."""
    static: StaticSource | None
    """Of `BASELINES`: the static embedding to stand beside TF-IDF."""
    variants: list[Candidate]
    """Of `SCOUT`."""
    timed: bool
    """Of `SCOUT`: whether to time a few steps of each."""
