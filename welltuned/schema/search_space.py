"""Search ranges of hyper-parameters, declared beside their fields.

    r: Annotated[int, Field(ge=1), Range(4, 64, log=True)] = 8

A sweep tries these ranges unless told otherwise; the schema carries them as `search`, so that
forms can show them too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from welltuned.schema.part import Part


@dataclass(frozen=True)
class _Marker:
    """Something said of a field; pydantic hands it on and does not act on it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), "search": asdict(self)}


@dataclass(frozen=True)
class Range(_Marker):
    """Worth searching from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    """Whether every factor between them deserves the same attention, rather than every step."""


@dataclass(frozen=True)
class Around(_Marker):
    """Worth searching, by factors, between its usual value divided and multiplied by `factor`."""

    factor: float


def searched(part: type[Part]) -> dict[str, Range | Around]:
    """The ranges that a part's fields declare, by the fields' names."""
    return {
        name: marker
        for name, field in part.model_fields.items()
        for marker in field.metadata
        if isinstance(marker, (Range, Around))
    }
