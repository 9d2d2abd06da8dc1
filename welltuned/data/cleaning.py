"""Cleaning: a file's table as records, with missing targets refused and empty texts counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from welltuned.data.cells import as_key, as_list, is_missing
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts, SplitFacts, some_lines
from welltuned.data.layouts.nested import refuse_nested
from welltuned.data.layouts.pair_columns import settle_pair
from welltuned.data.missing_labels import leave_out_missing, refuse_hidden, tell_of_words
from welltuned.data.records import Records, Role, add_missing_column, map_columns, to_records
from welltuned.data.storage.on_disk import TextColumn
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

ALONE = "file"
"""The split of a file that is read by itself, whose rows need no groups."""


def clean(
    table: Table,
    split: str,
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
    keep_empty: bool = False,
) -> Records | None:
    """Map the columns, refuse missing targets, and leave out empty texts (counted).

    `keep_empty`: rows with an empty text stay.
    None when there were faults; they are recorded.
    """
    if not len(table):
        return None  # the reader has said why
    mapping = _map(table, split, config, roles, facts, faults)
    if mapping is None:
        return None
    records = to_records(table, roles, mapping)
    if not table.mapped:
        refuse_nested(records, roles, mapping, faults)
    for role in roles:
        if role.is_target and role.name in records:
            records = _with_targets(records, role, split, config, mapping, facts, faults)
    records = _written_as_text(records, roles, faults)
    if not table.questions:  # which have a row each, with the reason
        _refuse_half_characters(records, faults)
    tell_of_words(records, facts)
    return records if keep_empty else _leave_out_empty(records, split, facts, faults)


def _map(
    table: Table,
    split: str,
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
) -> dict[str, str] | None:
    """Which column has which role; None when there were faults. The facts say what was found.

    The validation and test files are read as the training file was.
    """
    before = len(faults)
    given = config.columns if split == ALONE else config.role_columns
    asked = {} if table.mapped else _as_in_train(facts.columns, table, roles) | given
    needed = [_may_lack(role, split) for role in roles]
    mapping = map_columns(table, needed, asked, faults)
    if len(faults) > before:
        return None
    for role in roles:
        if role.is_input and role.name in facts.columns and role.name not in mapping:
            add_missing_column(table, role.name, faults)
    lacking = [role for role in roles if role.required and role.name not in mapping]
    for role in lacking:
        evidence = f"no column has the {role.name}"
        refuse_hidden(Place(table.source, 1), split, evidence, faults)
    if not facts.columns:
        settle_pair(table, roles, mapping, config.columns, facts, faults)
    if len(faults) > before:
        return None
    facts.columns = facts.columns or mapping
    facts.unused_columns = facts.unused_columns or [
        column for column in table.columns if column not in mapping.values()
    ]
    facts.readings += table.readings
    facts.notes += table.notes
    return mapping


def _as_in_train(columns: dict[str, str], table: Table, roles: Sequence[Role]) -> dict[str, str]:
    """The columns that had roles in the training file; inputs that it lacked have none here."""
    if not columns:
        return {}
    inputs = [role.name for role in roles if role.is_input and role.name not in columns]
    same = {role: column for role, column in columns.items() if column in table.columns}
    return {**dict.fromkeys(inputs, ""), **same}


def _may_lack(role: Role, split: str) -> Role:
    """Splits for testing without a target are told of in words of their own."""
    is_hidden = role.is_target and split in ("validation", "test")
    return replace(role, required=False) if is_hidden else role


def _with_targets(
    records: Records,
    role: Role,
    split: str,
    config: DataConfig,
    mapping: dict[str, str],
    facts: DataFacts,
    faults: Faults,
) -> Records:
    """The records that have a target; those without are faults, or left out as the config says."""
    if not role.is_list:
        records = leave_out_missing(records, role.name, split, config, facts, faults)
    _require_cells(records, role.name, mapping, faults)
    return records


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


def _refuse_half_characters(records: Records, faults: Faults) -> None:
    for index in records.broken_texts():
        faults.add_counted(
            "data.half_character",
            "the row holds half a character (a surrogate by itself)",
            records.place(index),
            "write the character as UTF-8, or as both halves of its JSON escape",
        )


def _written_as_text(records: Records, roles: Sequence[Role], faults: Faults) -> Records:
    """Columns of lists as lists of text, and all other inputs as text."""
    lists = [role for role in roles if role.is_list and role.name in records]
    columns: dict[str, Sequence[Any]] = dict(records.columns)
    for role in lists:
        columns[role.name] = _lists(records, role.name, role.is_target, faults)
    for name in set(records.input_roles) - {role.name for role in lists}:
        cells = records[name]
        if isinstance(cells, TextColumn):
            columns[name] = cells.with_others(_text)
        else:
            columns[name] = list(map(_text, cells))
    return replace(records, columns=columns)


def _text(cell: Any) -> str:
    return "" if is_missing(cell) else str(cell)


def _leave_out_empty(
    records: Records, split: str, facts: DataFacts, faults: Faults
) -> Records | None:
    """The records that have a text; the others are counted. None when none has."""
    full = records.filled()
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


def _lists(records: Records, role: str, is_target: bool, faults: Faults) -> list[list[str]]:
    """The cells of a column of lists as lists of text; labels as they are compared."""
    cells: list[list[str]] = []
    mark = _mark_between(records[role])
    for index, cell in enumerate(records[role]):
        items = _items(cell, mark)
        if is_target:
            items = items and [as_key(item) for item in items]
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


def _items(cell: Any, mark: str | None) -> list[str] | None:
    """A list as it is or is written, text split at `mark`; None for anything else."""
    items = as_list(cell)
    if items is not None:
        return ["" if item is None else str(item).strip() for item in items]
    if isinstance(cell, str):
        return [item.strip() for item in cell.split(mark)]
    return [] if is_missing(cell) else None


def _mark_between(cells: Sequence[Any]) -> str | None:
    """What parts the items of a column's texts: white space, or | where there is none."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    has_spaces = any(len(text.split()) > 1 and as_list(text) is None for text in texts)
    return "|" if not has_spaces and any("|" in text for text in texts) else None
