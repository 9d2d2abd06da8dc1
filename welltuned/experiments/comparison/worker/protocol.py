"""Wire protocol between a worker and its parent: events as JSON lines, and data in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from welltuned.experiments.comparison.cache_key import code_version
from welltuned.training.data_cache import DataCache

Tell = Callable[..., None]
"""Sends an event: `tell("stepped", step=3)`."""


def shared_data(request: dict[str, Any]) -> DataCache:
    """What the comparison's processes have read and tokenised; without a folder, nothing yet."""
    return DataCache(Path(request["data"]) if "data" in request else None, code_version())
