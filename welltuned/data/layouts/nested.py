"""Nested cells: keys within objects as columns of their own, and objects where text is meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import replace

from welltuned.data.cells import as_flag
from welltuned.data.records import Records, Role
from welltuned.data.storage.on_disk import cells_but_texts
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

_NUMBER = re.compile(r"[0-9]{1,9}")


def with_nested(table: Table, names: Iterable[str]) -> Table:
    """The table with a column for each name that is a path, such as `review.text` or `answers.0`.

    Tables of text, such as CSV, hold objects as JSON. Cells without the path are None; a path that
    no cell has is no column.
    """
    added: dict[str, list[object]] = {}
    for name in sorted(names):
        column, keys = _column_of(name, table.columns)
        if keys:
            cells = [_inside(cell, keys) for cell in table.columns[column]]
            if any(cell is not None for cell in cells):
                added[name] = cells
    return replace(table, columns={**table.columns, **added}) if added else table


def _column_of(name: str, columns: Mapping[str, object]) -> tuple[str, list[str]]:
    """The longest beginning of a path that is a column, and the keys that follow it."""
    keys = name.split(".")
    for end in range(len(keys), 0, -1):
        column = ".".join(keys[:end])
        if column in columns:
            return column, keys[end:]
    return name, []


def _inside(cell: object, keys: Sequence[str]) -> object:
    """What stands in a cell under keys, and at numbers counted from 0; None where nothing does."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            cell = json.loads(cell)
    for key in keys:
        if isinstance(cell, dict):
            cell = cell.get(key)
        elif isinstance(cell, (list, tuple)) and _NUMBER.fullmatch(key) and int(key) < len(cell):
            cell = cell[int(key)]
        else:
            return None
    return cell


def refuse_nested(
    records: Records, roles: Sequence[Role], mapping: Mapping[str, str], faults: Faults
) -> None:
    """Record every cell of a text that is an object or a list, and every target that is an object.

    Lists of words and of labels, and flags such as {"toxic": 1, "insult": 0}, are read as such by
    their roles.
    """
    for role in roles:
        if role.is_list or role.name not in records or not (role.is_input or role.is_target):
            continue
        for index, cell in cells_but_texts(records[role.name]):
            if not isinstance(cell, (dict, list, tuple, set, bytes)):
                continue
            place, column = records.place(index), mapping[role.name]
            if isinstance(cell, dict) and (role.is_input or not _holds_flags(cell)):
                _refuse_object(cell, role.name, column, place, faults)
            elif role.is_input:
                _refuse_list(cell, role.name, column, place, faults)


def _refuse_object(
    cell: dict[str, object], role: str, column: str, place: Place, faults: Faults
) -> None:
    faults.add_counted(
        "data.cell_is_object",
        "the {role} is an object with the keys {keys}",
        place,
        "name what holds it within '{column}', such as data.columns.{role}={path}",
        role=role,
        keys=", ".join(map(str, cell))[:80],
        column=column,
        path=".".join([column, *_path_to_text(cell)]),
    )


def _refuse_list(cell: Sized, role: str, column: str, place: Place, faults: Faults) -> None:
    faults.add_counted(
        "data.cell_is_list",
        "the {role} is {kind}, not text",
        place,
        "write its items as one text; data.columns.{role}={path} reads the first item alone",
        role=role,
        kind="bytes" if isinstance(cell, bytes) else f"a list of {len(cell)}",
        path=".".join([column, *_path_to_text(cell)]),
    )


def _path_to_text(cell: object) -> list[str]:
    """The keys to the first text or number in a cell."""
    if isinstance(cell, dict):
        pairs: list[tuple[str, object]] = [(str(key), value) for key, value in cell.items()]
    elif isinstance(cell, (list, tuple)):
        pairs = [(str(number), value) for number, value in enumerate(cell)]
    else:
        return []
    plain = [key for key, value in pairs if isinstance(value, (str, int, float))]
    if plain or not pairs:
        return plain[:1]
    return [pairs[0][0], *_path_to_text(pairs[0][1])]


def _holds_flags(cell: dict[str, object]) -> bool:
    return all(as_flag(flag) is not None for flag in cell.values())
