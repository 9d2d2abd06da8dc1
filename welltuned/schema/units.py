"""Times and sizes as people write them, `20m` and `4GiB`, and as they read them, `2 min 3 s`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from welltuned.schema.field_types import WrittenAs
from welltuned.schema.part import conflict

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {
    "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def _read(value: Any, units: Mapping[str, float], what: str, example: str) -> Any:
    if not isinstance(value, str):
        return value
    parts = _WRITTEN.findall(value)
    if not parts or "".join(_WRITTEN.split(value)[::3]).strip():
        raise conflict(
            "config.bad_unit_text",
            "'{value}' is not a {quantity}",
            "write it as {example}",
            value=value,
            quantity=what,
            example=example,
        )
    if unknown := [unit for _, unit in parts if unit not in units]:
        raise conflict(
            "config.unit_unknown",
            "'{unit}' is not a unit of {quantity}",
            "write it as {example}",
            unit=unknown[0],
            quantity=what,
            example=example,
        )
    return sum(float(number) * units[unit] for number, unit in parts)


def read_duration(value: object) -> Any:
    """Seconds, for `90s`, `20m` or `1h30m`; what is no text stays as it is.

    Raises a `ValueError` that says how to write it.
    """
    return _read(value, _SECONDS, "time", "90s, 20m or 1h30m")


def read_size(value: object) -> Any:
    """Bytes, for `500MB` (millions) or `4GiB` (powers of two), as `read_duration` reads times."""
    return _read(value, _BYTES, "size", "500MB, 4GB or 4GiB")


def duration_text(seconds: float) -> str:
    """Seconds for people: `2 min 3 s`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size_text(size: float) -> str:
    """Bytes for people, in units of a thousand: `3.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def rate_text(per_second: float, unit: str) -> str:
    """A rate for people, `12 examples/s`, and below one a second `4.2 s/example`.

    `unit` is a plural.
    """
    if 0 < per_second < 1:
        return f"{brief_number(1 / per_second)} s/{unit.removesuffix('s')}"
    return f"{brief_number(per_second)} {unit}/s"


def brief_number(value: float) -> str:
    """A measured number for people: whole from ten on, two digits below, never 0 for a few."""
    if value >= 10 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


Duration = Annotated[
    float, BeforeValidator(read_duration), Field(gt=0), WrittenAs("time, such as 1h30m", "20m")
]
"""Seconds; `90s`, `20m` and `1h30m` are read."""
Size = Annotated[
    float, BeforeValidator(read_size), Field(gt=0), WrittenAs("size, such as 500MB", "4GiB")
]
"""Bytes; `500MB` (millions) and `4GiB` (powers of two) are read."""
