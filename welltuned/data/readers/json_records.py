"""JSON arrays and JSON lines."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.readers.decoding import decode
from welltuned.data.table import Table
from welltuned.errors import Faults, Place


def read_json(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """Records as objects, in an array or one a line; a column that a record lacks is None."""
    text = decode(raw, name, faults)
    if text is None:
        return None
    records = _array_records if text.lstrip().startswith("[") else _line_records
    columns: dict[str, list[Any]] = {}
    starts: list[int] = []
    for line, record in records(text, name, faults):
        if not isinstance(record, dict):
            faults.add_counted(
                "data.record_not_an_object",
                "a record must be an object, not {type}",
                Place(name, line),
                'write {{"text": …, "label": …}}',
                type=type(record).__name__,
            )
            continue
        for column in record:
            if column not in columns:
                columns[column] = [None] * len(starts)
        for column, cells in columns.items():
            cells.append(record.get(column))
        starts.append(line)
    return Table(name, columns, starts)


def _line_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            faults.add_counted(
                "data.bad_json",
                "invalid JSON: {reason}",
                Place(name, number, error.colno),
                "fix or remove this line",
                reason=error.msg,
            )
        except RecursionError:
            faults.add_counted(
                "data.json_too_deep",
                "JSON nested too deeply",
                Place(name, number),
                "fix or remove this line",
            )


def _array_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, Any]]:
    """The records of a JSON array one by one, each with its line."""
    newlines = [i for i, character in enumerate(text) if character == "\n"]

    def line_of(position: int) -> int:
        return bisect.bisect_left(newlines, position) + 1

    def skip(position: int) -> int:
        while position < len(text) and text[position].isspace():
            position += 1
        return position

    decoder = json.JSONDecoder()
    position = skip(text.index("[") + 1)
    while position < len(text) and text[position] != "]":
        try:
            record, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            faults.add(
                "data.bad_json_array",
                "invalid JSON: {reason}",
                Place(name, error.lineno, error.colno),
                "fix the array here",
                reason=error.msg,
            )
            return
        except RecursionError:
            faults.add(
                "data.json_array_too_deep",
                "JSON nested too deeply",
                Place(name, line_of(position)),
                "fix the array here",
            )
            return
        yield line_of(position), record
        position = skip(end)
        if position < len(text) and text[position] == ",":
            position = skip(position + 1)
        elif position >= len(text) or text[position] != "]":
            faults.add(
                "data.bad_json_array",
                "invalid JSON: {reason}",
                Place(name, line_of(position)),
                "fix the array here",
                reason="expecting ',' or ']'",
            )
            return
    rest = skip(position + 1)
    if position >= len(text):
        _refuse_end(True, Place(name, line_of(position)), faults)
    elif rest < len(text):
        _refuse_end(False, Place(name, line_of(rest)), faults)


def _refuse_end(is_open: bool, place: Place, faults: Faults) -> None:
    """The array does not end, or the file goes on after it."""
    if is_open:
        faults.add(
            "data.json_array_open",
            "the JSON array is not closed",
            place,
            "the file may be truncated; close it with ']'",
        )
    else:
        faults.add(
            "data.json_array_trailing",
            "there is more text after the JSON array",
            place,
            "remove what follows the ']'",
        )
