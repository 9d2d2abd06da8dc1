"""Wire protocol between a worker and its parent: events as JSON lines, and data in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from welltuned.experiments.comparison.cache_key import code_version
from welltuned.training.data_cache import DataCache

Tell = Callable[..., None]
"""Sends an event: `tell("stepped", step=3)`."""


class Candidate(TypedDict):
    """A variant whose feasibility is asked for."""

    name: str
    config: dict[str, Any]
    pipeline: dict[str, Any] | None


class Request(TypedDict, total=False):
    """What a worker is asked to do. Each `do` has keys of its own."""

    do: str
    """`scout`, `baselines`, `tune`, `train` or `rlhf`."""
    data: str
    """The folder of what the comparison's processes have read and tokenised."""
    folder: str
    """Where to write what is no cell."""
    config: dict[str, Any]
    """A run's config, as its file would hold it."""
    pipeline: dict[str, Any]
    """Of `rlhf`: the config of all stages."""
    command: str | None
    """What a report says would do the same."""
    variants: list[Candidate]
    """Of `scout`."""
    timed: bool
    """Of `scout`: whether to time a few steps of each."""
    name: str
    """Of `tune`: the variant."""
    trials: int
    """Of `tune`: how many."""


def shared_data(request: Request) -> DataCache:
    """What the comparison's processes have read and tokenised; without a folder, nothing yet."""
    return DataCache(Path(request["data"]) if "data" in request else None, code_version())
