"""Records: the rows of one split, with columns named by their role."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from welltuned.data.table import Table
from welltuned.errors import Faults, Place


@dataclass(frozen=True)
class Role:
    """What a column is for, and the names it usually goes by."""

    name: str
    candidates: tuple[str, ...]
    required: bool = True
    is_input: bool = False
    """Whether it is part of what the model reads; two records with equal inputs are duplicates."""
    is_target: bool = False
    """Whether it is what the model shall say.
    It must not be missing, and splits are stratified by it."""
    is_list: bool = False
    """Whether a cell holds a list, such as the words of a sentence; text is split on spaces.
    Splits are not stratified by lists, which hardly ever repeat."""


@dataclass(frozen=True)
class Records:
    """Columns by role, with where each record stands in its file."""

    source: str
    columns: dict[str, list[Any]]
    lines: list[int]
    input_roles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, role: str) -> list[Any]:
        return self.columns[role]

    def __contains__(self, role: str) -> bool:
        return role in self.columns

    def place(self, index: int) -> Place:
        return Place(self.source, self.lines[index])

    def id(self, index: int) -> str:
        """The record's own id where there is an `id` column, else file and line."""
        return (
            str(self.columns["id"][index])
            if "id" in self.columns
            else f"{self.source}:{self.lines[index]}"
        )

    def take(self, indices: Sequence[int]) -> Records:
        """The records at `indices`, in that order."""
        return Records(
            self.source,
            {role: [cells[i] for i in indices] for role, cells in self.columns.items()},
            [self.lines[i] for i in indices],
            self.input_roles,
        )

    def join(self, other: Records) -> Records:
        """These records and then those; cells of a column that only one of them has are None.

        Every record keeps its own id, or file and line.
        """
        roles = dict.fromkeys([*self.columns, *other.columns])
        columns = {
            role: [
                *self.columns.get(role, [None] * len(self)),
                *other.columns.get(role, [None] * len(other)),
            ]
            for role in roles
        }
        ids = [part.id(i) for part in (self, other) for i in range(len(part))]
        return Records(
            self.source, {**columns, "id": ids}, self.lines + other.lines, self.input_roles
        )


def map_columns(
    table: Table, roles: Sequence[Role], mapping: dict[str, str], faults: Faults
) -> dict[str, str]:
    """Which column has which role: as mapped by the user, else by name.

    Records a fault for each that is missing.
    """
    header = list(table.columns)
    found: dict[str, str] = {}
    for role_name, column in mapping.items():
        if role_name not in {role.name for role in roles}:
            close = difflib.get_close_matches(role_name, [role.name for role in roles], n=1)
            hint = (
                f"did you mean '{close[0]}'?"
                if close
                else f"roles are: {', '.join(role.name for role in roles)}"
            )
            faults.add(
                "data.role_unknown",
                "unknown role '{role}' in data.columns",
                None,
                "{hint}",
                role=role_name,
                hint=hint,
            )
        elif column not in table.columns:
            close = difflib.get_close_matches(column, header, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            faults.add(
                "data.column_unknown",
                "no column '{column}' for {role}",
                Place(table.source, 1),
                "{hint}the file has: {columns}",
                column=column,
                role=role_name,
                hint=hint,
                columns=", ".join(header),
            )
        else:
            found[role_name] = column
    lower = {column.casefold().strip(): column for column in reversed(header)}
    for role in roles:
        if role.name in mapping:
            continue
        for candidate in role.candidates:
            named = lower.get(candidate)
            if named is not None and named not in found.values():
                found[role.name] = named
                break
    _fill_in_the_only_choice(header, roles, mapping, found)
    for role in roles:
        if role.required and role.name not in found and role.name not in mapping:
            add_missing_column(table, role.name, faults)
    return found


def add_missing_column(table: Table, role: str, faults: Faults) -> None:
    """Record that no column has this role."""
    faults.add(
        "data.column_missing",
        "no column found for {role}",
        Place(table.source, 1),
        "add data.columns.{role}=NAME; the file has: {columns}",
        role=role,
        columns=", ".join(table.columns),
    )


def _fill_in_the_only_choice(
    header: list[str], roles: Sequence[Role], mapping: dict[str, str], found: dict[str, str]
) -> None:
    """With one required role open and one column left, they belong together."""
    open_roles = [
        role
        for role in roles
        if role.required and role.name not in found and role.name not in mapping
    ]
    left = [column for column in header if column not in found.values()]
    if len(open_roles) == 1 and len(left) == 1:
        found[open_roles[0].name] = left[0]


def to_records(table: Table, roles: Sequence[Role], mapping: dict[str, str]) -> Records:
    """The table's mapped columns as records."""
    return Records(
        table.source,
        {role: table.columns[column] for role, column in mapping.items()},
        table.lines,
        tuple(role.name for role in roles if role.is_input and role.name in mapping),
    )
