"""Limits: which strategies need more than the user has, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from welltuned.runs.comparison_schema import ComparisonRow
from welltuned.schema.messages import Message, message
from welltuned.schema.units import duration_text, size_text


def over_limits(row: ComparisonRow, limits: Mapping[str, float | None]) -> list[Message]:
    """Which limits a strategy does not keep to."""
    if not row["seeds"]:
        return []
    cost, found = row["cost"], []
    for limit, key, show, beyond in _LIMITS:
        asked = limits.get(limit)
        value = cost[key]
        if asked is not None and value is not None and value > asked:
            found.append(beyond(name=row["name"], value=show(value), limit=show(asked)))
    least, kept = limits.get("retention"), row["kept"]
    if least is not None and kept is not None and kept < least:
        found.append(
            message(
                "compare.over_retention",
                "{name} keeps {value} of what the model knew; the limit is {limit}.",
                name=row["name"],
                value=f"{kept:.1%}",
                limit=f"{least:.1%}",
            )
        )
    return found


_LimitedCost = Literal["memory_bytes", "train_seconds", "artifact_bytes"]
_LIMITS: tuple[tuple[str, _LimitedCost, Callable[[float], str], Callable[..., Message]], ...] = (
    (
        "memory",
        "memory_bytes",
        size_text,
        lambda **values: message(
            "compare.over_memory", "{name} needs {value} of memory; the limit is {limit}.", **values
        ),
    ),
    (
        "time",
        "train_seconds",
        duration_text,
        lambda **values: message(
            "compare.over_time", "{name} trains for {value}; the limit is {limit}.", **values
        ),
    ),
    (
        "artifact",
        "artifact_bytes",
        size_text,
        lambda **values: message(
            "compare.over_artifact_size",
            "{name} has an artifact of {value}; the limit is {limit}.",
            **values,
        ),
    ),
)
"""Each limit, the cost it is held against, how both are shown, and what is said beyond it."""
