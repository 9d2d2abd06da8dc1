"""Wire protocol between a worker and its parent: events as JSON lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from welltuned.errors import Fault, Place

Tell = Callable[..., None]
"""Sends an event: `tell("stepped", step=3)`."""


def fault_as_dict(fault: Fault) -> dict[str, Any]:
    """A fault as an event tells it."""
    place = fault.place
    where = [place.source, place.line, place.column] if place else None
    return {"what": fault.what, "place": where, "remedy": fault.remedy}


def fault_from(values: dict[str, Any]) -> Fault:
    """The fault that an event tells."""
    place = Place(*values["place"]) if values["place"] else None
    return Fault(values["what"], place, values["remedy"])
