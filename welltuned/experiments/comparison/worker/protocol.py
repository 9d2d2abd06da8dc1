"""Wire protocol between a worker and its parent: events as JSON lines, and data in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from welltuned.errors import Fault, Place
from welltuned.experiments.comparison.cache_key import code_version
from welltuned.training.data_cache import DataCache

Tell = Callable[..., None]
"""Sends an event: `tell("stepped", step=3)`."""


def shared_data(request: dict[str, Any]) -> DataCache:
    """What the comparison's processes have read and tokenised; without a folder, nothing yet."""
    return DataCache(Path(request["data"]) if "data" in request else None, code_version())


def fault_as_dict(fault: Fault) -> dict[str, Any]:
    """A fault as an event tells it."""
    place = fault.place
    where = [place.source, place.line, place.column] if place else None
    return {"what": fault.what, "place": where, "remedy": fault.remedy}


def fault_from(values: dict[str, Any]) -> Fault:
    """The fault that an event tells."""
    place = Place(*values["place"]) if values["place"] else None
    return Fault(values["what"], place, values["remedy"])
