"""Records: the rows of one split, with columns named by their role."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from welltuned.data.cells import as_flag, is_missing, join_names, split_names
from welltuned.data.storage.on_disk import TextColumn, pieces_of, take_cells
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
    is_judgement: bool = False
    """Whether it says which of several answers is better, and so is nothing that is asked."""
    is_list: bool = False
    """Whether a cell holds a list, such as the words of a sentence; text is split on spaces.
    Splits are not stratified by lists, which hardly ever repeat."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Names of two columns that are read together: the first one's, and this one's."""
    plural: str = ""
    """What it is called where several columns, of 0 and 1, hold one value each."""

    @property
    def is_answer(self) -> bool:
        """Whether files of questions need not have it, and it is not read in them."""
        return self.is_target or self.is_judgement


def question_roles(roles: Sequence[Role]) -> list[Role]:
    """How files of questions are read, which may lack answers."""
    return [role for role in roles if role.is_input or not role.is_answer]


@dataclass(frozen=True)
class Records:
    """Columns by role, with where each record stands in its file."""

    source: str
    columns: Mapping[str, Sequence[Any]]
    lines: list[int]
    input_roles: tuple[str, ...]
    keys: Sequence[bytes] | None = field(default=None, kw_only=True, compare=False, repr=False)
    """What each is compared by (`duplicates.digests_of`), where that was found already."""

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, role: str) -> Sequence[Any]:
        return self.columns[role]

    def __contains__(self, role: str) -> bool:
        return role in self.columns

    def place(self, index: int) -> Place:
        return Place(self.source, self.lines[index])

    def id(self, index: int) -> str:
        """The record's own id where it has one, else file and line."""
        own = self.columns["id"][index] if "id" in self.columns else None
        return f"{self.source}:{self.lines[index]}" if own in (None, "") else str(own)

    def empty_roles(self, index: int) -> list[str]:
        """The inputs of a record that hold nothing but white space."""
        return [role for role in self.input_roles if not _is_filled(self.columns[role][index])]

    def filled(self) -> list[int]:
        """The records none of whose inputs is empty so."""
        cells = (self.columns[role] for role in self.input_roles)
        return [i for i, one in enumerate(zip(*cells, strict=True)) if all(map(_is_filled, one))]

    def broken_texts(self) -> list[int]:
        """The records that hold half a character, which neither a file nor a tokenizer takes."""
        columns = self.columns.values()
        cells = [
            one for one in columns if not isinstance(one, TextColumn) or not one.is_surely_whole
        ]
        if all(_is_unicode(part) for column in cells for part in pieces_of(column)):
            return []
        return [i for i in range(len(self)) if not _is_unicode([column[i] for column in cells])]

    def texts(self, most: int | None = None) -> list[str]:
        """What is read of each record, or of the first `most`: its inputs, one below the other."""
        number = len(self) if most is None else min(most, len(self))
        return ["\n".join(str(self[role][i]) for role in self.input_roles) for i in range(number)]

    def take(self, indices: Sequence[int]) -> Records:
        """The records at `indices`, in that order."""
        return Records(
            self.source,
            {role: take_cells(cells, indices) for role, cells in self.columns.items()},
            [self.lines[i] for i in indices],
            self.input_roles,
            keys=self.keys and [self.keys[i] for i in indices],
        )

    def fingerprint(self) -> str:
        """A hash of all cells by role."""
        digest = hashlib.sha256()
        for role in sorted(self.columns):
            for piece in _as_json(role, self.columns[role]):
                digest.update(piece.encode())
        return digest.hexdigest()[:32]

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


def _is_filled(cell: str | list[str]) -> bool:
    return not is_missing(cell if isinstance(cell, str) else "".join(cell))


def _as_json(role: str, cells: Sequence[Any]) -> Iterator[str]:
    """The JSON of a list of both, piece by piece."""
    yield f"[{json.dumps(role, ensure_ascii=False)}, ["
    for number, part in enumerate(pieces_of(cells)):
        yield ", " * bool(number) + json.dumps(part, ensure_ascii=False, default=str)[1:-1]
    yield "]]"


def _is_unicode(cells: list[Any]) -> bool:
    try:
        "".join(cells).encode()
    except TypeError:  # not all are texts
        return _is_unicode([json.dumps(cells, ensure_ascii=False, default=str)])
    except UnicodeEncodeError:
        return False
    return True


def map_columns(
    table: Table, roles: Sequence[Role], mapping: dict[str, str], faults: Faults
) -> dict[str, str]:
    """Which column has which role: as mapped by the user, else by name.

    Records a fault for each that is missing.
    """
    header = list(table.columns)
    found: dict[str, str] = {}
    singular = {role.plural: role.name for role in roles if role.plural}
    mapping = {singular.get(role, role): column for role, column in mapping.items()}
    _map_as_asked(table, roles, mapping, found, faults)
    lower = {column.casefold().strip(): column for column in reversed(header)}
    _find_pair(lower, roles, mapping, found)
    for role in roles:
        if role.name in mapping or role.name in found:
            continue
        for candidate in role.candidates:
            named = lower.get(candidate)
            if named is not None and named not in found.values():
                found[role.name] = named
                break
    flags = _flags_for(table, roles, mapping, found)
    left = [column for column in header if column not in flags]
    open_roles = [role for role in roles if not (role.plural and flags)]
    _fill_in_the_only_choice(left, open_roles, mapping, found)
    for role in roles:
        if role.required and role.name not in found and not mapping.get(role.name):
            if role.plural and flags:
                _ask_for_flags(table, role, flags, faults)
            else:
                add_missing_column(table, role.name, faults)
    return found


def _map_as_asked(
    table: Table,
    roles: Sequence[Role],
    mapping: dict[str, str],
    found: dict[str, str],
    faults: Faults,
) -> None:
    """The columns that the user names; roles and columns that do not exist are faults."""
    header = list(table.columns)
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
        elif column and column not in table.columns:
            column = next((one for one in split_names(column) if one not in header), column)
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
        elif column:
            found[role_name] = column


def _find_pair(
    lower: dict[str, str], roles: Sequence[Role], mapping: dict[str, str], found: dict[str, str]
) -> None:
    """Two columns that are known to be read together; not where the user names one of them.

    Where the user wants no second text, the first one is the first of the pair all the same.
    """
    first = next((role.name for role in roles if role.is_input), "")
    for role in roles:
        if first in mapping or mapping.get(role.name):
            continue
        for one, other in role.pairs:
            if one in lower and other in lower:
                both = {first: lower[one], role.name: lower[other]}
                found |= {name: column for name, column in both.items() if name not in mapping}
                return


def _flags_for(
    table: Table, roles: Sequence[Role], mapping: dict[str, str], found: dict[str, str]
) -> list[str]:
    """Columns of 0 and 1 that may each be a value of a role which no column has."""
    is_open = any(role.plural and not {role.name} & {*found, *mapping} for role in roles)
    left = [column for column in table.columns if column not in found.values()]
    flags = [column for column in left if _holds_flags(table.columns[column])] if is_open else []
    return flags if len(flags) > 1 else []


def _holds_flags(cells: Sequence[object]) -> bool:
    filled = (cell for cell in cells if not is_missing(cell))
    first = next(filled, None)
    return as_flag(first) is not None and all(as_flag(cell) is not None for cell in filled)


def _ask_for_flags(table: Table, role: Role, flags: list[str], faults: Faults) -> None:
    faults.add(
        "data.flag_columns_unclear",
        "no column found for {role}, but {columns} hold only 0 and 1",
        Place(table.source, 1),
        "data.columns.{plural}={names} reads each as a value of its own, "
        "data.columns.{role}=NAME reads one of them alone",
        role=role.name,
        plural=role.plural,
        columns=", ".join(flags),
        names=join_names(flags),
    )


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
