"""Cleaning: a file's table as records, with missing targets refused and empty texts counted."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts, SplitFacts, some_lines
from welltuned.data.records import Records, Role, map_columns, to_records
from welltuned.data.table import Table
from welltuned.errors import Faults


def clean(
    table: Table,
    split: str,
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
) -> Records | None:
    """Map the columns, refuse missing targets, and leave out empty texts (counted).

    None when there were faults; they are recorded.
    """
    if not len(table):
        return None  # the reader has said why
    mapping = _map(table, config, roles, facts, faults)
    if mapping is None:
        return None
    records = to_records(table, roles, mapping)
    for role in roles:
        if role.is_target and role.name in records:
            _require_cells(records, role.name, mapping, faults)
    _write_as_text(records, roles, faults)
    return _leave_out_empty(records, split, facts, faults)


def _map(
    table: Table, config: DataConfig, roles: Sequence[Role], facts: DataFacts, faults: Faults
) -> dict[str, str] | None:
    """Which column has which role; None when there were faults. The facts say what was found."""
    before = len(faults)
    mapping = map_columns(table, roles, {} if table.mapped else config.columns, faults)
    if len(faults) > before:
        return None
    facts.columns = facts.columns or mapping
    facts.unused_columns = facts.unused_columns or [
        column for column in table.columns if column not in mapping.values()
    ]
    facts.readings += table.readings
    facts.notes += table.notes
    return mapping


def _require_cells(records: Records, role: str, mapping: dict[str, str], faults: Faults) -> None:
    """Record every row without a target."""
    for index, cell in enumerate(records[role]):
        if is_missing(cell):
            faults.add_counted(
                "data.cell_missing",
                "the {role} is missing",
                records.place(index),
                "fill in '{column}', or remove the row",
                role=role,
                column=mapping.get(role, role),
            )


def _write_as_text(records: Records, roles: Sequence[Role], faults: Faults) -> None:
    """Columns of lists as lists of text, and all other inputs as text."""
    lists = [role.name for role in roles if role.is_list and role.name in records]
    for name in lists:
        records.columns[name] = _lists(records, name, faults)
    for name in set(records.input_roles) - set(lists):
        records.columns[name] = ["" if is_missing(cell) else str(cell) for cell in records[name]]


def _leave_out_empty(
    records: Records, split: str, facts: DataFacts, faults: Faults
) -> Records | None:
    """The records that have a text; the others are counted. None when none has."""
    full = [
        i
        for i in range(len(records))
        if all("".join(records[role][i]).strip() for role in records.input_roles)
    ]
    empty = len(records) - len(full)
    facts.splits[split] = SplitFacts(records.source, empty=empty)
    if empty:
        lines = [records.lines[i] for i in sorted(set(range(len(records))) - set(full))]
        facts.note(
            "data.empty_left_out",
            "{source}: rows with an empty text, left out: {number:,} (line {lines}).",
            source=records.source,
            number=empty,
            lines=some_lines(lines),
        )
    if not full:
        faults.add("data.no_texts", "no row has a text", records.place(0), "check data.columns")
        return None
    return records.take(full) if empty else records


def _lists(records: Records, role: str, faults: Faults) -> list[list[str]]:
    """The cells of a column of lists as lists of text."""
    cells: list[list[str]] = []
    for index, cell in enumerate(records[role]):
        items = _as_list(cell)
        if items is None:
            faults.add_counted(
                "data.cell_not_a_list_of_words",
                "the {role} are {cell}, which is not a list",
                records.place(index),
                'write a list, ["like", "this"], or text separated by spaces',
                role=role,
                cell=f"{cell!r}"[:60],
            )
        cells.append(items or [])
    return cells


def _as_list(cell: Any) -> list[str] | None:
    """A list as it is, text split on spaces; None for anything else.

    Tables of text hold lists as Python or JSON writes them: `['such', 'as', 'this']`.
    """
    if isinstance(cell, str) and _WRITTEN_LIST.fullmatch(cell.strip()):
        with suppress(ValueError, SyntaxError):
            cell = ast.literal_eval(cell.strip())
    if isinstance(cell, str):
        return cell.split()
    if isinstance(cell, (list, tuple)):
        return ["" if item is None else str(item).strip() for item in cell]
    return [] if is_missing(cell) else None


_WRITTEN_LIST = re.compile(r"""\[(['"]).*['"]\]""", re.DOTALL)


def is_missing(cell: Any) -> bool:
    """Nothing, blanks, or the not-a-number that stands for nothing in tables."""
    blank = isinstance(cell, str) and not cell.strip()
    return cell is None or blank or (isinstance(cell, float) and cell != cell)
