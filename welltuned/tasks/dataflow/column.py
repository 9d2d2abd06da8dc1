"""The language of each row: a column of the user's, checked and brought under one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from welltuned.data.cells import is_missing
from welltuned.data.dataflow import LANGUAGES, LanguageName, language_named
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.tasks.dataflow.config import Dataflow

ROLE = Role("code_language", ("code_language",), required=False)
"""What records call it."""


def with_languages(
    table: Table, encoding: Dataflow | None, columns: Mapping[str, str], faults: Faults
) -> Table:
    """The table with each row's language under the role's name, where a column names it.

    `columns` is the user's mapping from role to column; what has another role as well keeps its
    name, too. A row that names none has `encoding.language`; one whose language nobody knows is a
    fault.
    """
    if encoding is None or (name := encoding.language_column) is None:
        return table
    if name not in table.columns:
        faults.add(
            "data.language_column_missing",
            "no column '{column}', which is to name the language of each row",
            Place(table.source, 1),
            "set task.encoding.language_column to one of: {columns}",
            column=name,
            columns=", ".join(table.columns),
        )
        return table
    usual = encoding.language
    cells = [_language(table, name, row, usual, faults) for row in range(len(table))]
    others = {key: column for key, column in table.columns.items() if key != name}
    kept = table.columns if name in columns.values() else others
    return replace(table, columns={**kept, ROLE.name: cells})


def _language(
    table: Table, column: str, row: int, usual: LanguageName | None, faults: Faults
) -> str | None:
    cell = table.columns[column][row]
    found = usual if is_missing(cell) else language_named(cell)
    if found is None:
        faults.add(
            "data.language_unknown",
            "the language {written} is not one whose data flow can be read",
            table.place(row),
            "write one of {known} in '{column}', or leave the row out",
            written="is missing and" if is_missing(cell) else f"'{cell}'",
            known=", ".join(LANGUAGES),
            column=column,
        )
    return found


def languages_of(records: Records, encoding: Dataflow) -> Sequence[LanguageName]:
    """The language of each record."""
    if encoding.language_column is not None and ROLE.name in records:
        named: Sequence[LanguageName] = records[ROLE.name]
        return named
    assert encoding.language is not None, "a text by itself was refused without it"
    return [encoding.language] * len(records)
