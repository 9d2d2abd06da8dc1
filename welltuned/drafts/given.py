"""Keys of a run's config that are given on the line, each by its dotted name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.schema.document import Document, KeyPath, apply_overrides
from welltuned.schema.part import parts_under

_DEEPEST = 3
"""Below `data.columns.text` a mapping is a value."""


def given_keys(overrides: Sequence[str], faults: Faults) -> dict[str, object]:
    """What `key=value` arguments say, short forms spelled out: `task=generation` is `task.type`."""
    document = Document()
    apply_overrides(document, overrides, RunConfig, faults)
    return dict(_leaves(document.values, ()))


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """Values by dotted keys as a config holds them."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *above, last = path.split(".")
        level = tree
        for key in above:
            level = level.setdefault(key, {})
        level[last] = value
    return tree


def _leaves(values: Mapping[str, Any], above: KeyPath) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = (*above, str(key))
        parts = () if above else parts_under(RunConfig, str(key))
        short = next((part.shorthand for part in parts), None)
        if isinstance(value, dict) and value and len(path) < _DEEPEST:
            yield from _leaves(value, path)
        elif short and isinstance(value, str):
            yield f"{key}.{short}", value
        else:
            yield ".".join(path), value
