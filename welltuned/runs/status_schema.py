"""Status schema: every field of a run's `status.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class RunStatus(TypedDict):
    """How a run stands."""

    state: str
    """running, finished, failed or stopped."""
    step: int
    error: str | None
    diagnosis: NotRequired[Mapping[str, str]]
    """The verdict on its curves, what shows it, and what to try."""
    skipped_steps: NotRequired[int]
    """Steps that were not taken, as their loss or gradient was not finite."""
    micro_batch_size: NotRequired[int]
    """Examples of a micro-batch, since memory ran out."""
