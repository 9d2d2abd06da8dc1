"""Rows of answers, as JSON lines and tables have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

Fields = Mapping[str, object]

FIRST = ("id", "text", "prediction")
"""The columns of every table of answers, before those that differ between tasks..."""
LAST = ("abstained", "cut", "reason", "code")
"""... and after them: what most rows have nothing to say of."""


def answered_row(asked: object, row: Fields) -> dict[str, object]:
    """An input, as it is shown, with its answer."""
    return {"id": row["id"], "text": asked, **row}


def json_line(row: Fields) -> str:
    """As JSON; letters that no encoding knows are escaped."""
    line = json.dumps(row, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return line


def flat(row: Fields) -> dict[str, object]:
    """The cells of a row, by columns of one level.

    >>> flat({"id": "a", "probabilities": {"good": 0.9}})
    {'id': 'a', 'probabilities.good': 0.9}
    """
    return dict(_cells(row))


def _cells(row: Fields) -> Iterator[tuple[str, object]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", cell) for key, cell in value.items())
        else:
            yield name, value


def columns_of(names: Mapping[str, object]) -> list[str]:
    """All columns of a table in order, by those that its rows have."""
    between = [name for name in names if name not in (*FIRST, *LAST)]
    return [*FIRST, *between, *LAST]


def has_answer(row: Fields) -> bool:
    """Whether a row has all that the model says of an input, though it may not be sure of it."""
    return row["prediction"] is not None or "abstained" in row
