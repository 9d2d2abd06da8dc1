"""Inputs: what a tuned model is asked, with every row accounted for.

Training leaves out rows without a text, and refuses a file with a broken row. Here every row stays
in its place: as a record, or as the fault that says why it cannot be read.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from welltuned.data.cleaning import ALONE, clean
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import Convert, as_asked
from welltuned.data.records import Records, Role
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults, InputError
from welltuned.schema.messages import Message


@dataclass(frozen=True)
class Inputs:
    """What is asked, in order of lines: the rows that can be read, and why others cannot."""

    records: Records | None
    """None where no row can be read."""
    refused: tuple[Fault, ...] = ()
    """One fault a row that cannot be read; its place has the row's line."""
    notes: tuple[Message, ...] = ()
    """How doubtful things were read, and what was left out."""

    @property
    def number(self) -> int:
        """How many rows there are, those that cannot be read included."""
        return len(self.refused) + (len(self.records) if self.records is not None else 0)


def read_inputs(
    name: str,
    config: DataConfig,
    roles: Sequence[Role],
    convert: Convert,
    trained: Mapping[str, str],
) -> Inputs:
    """The rows of a file. Raises `InputError` where the file as a whole cannot be read.

    `trained`: what columns of the training file were called, which counts where this one has them.
    """
    faults = _every_fault()
    table = read_file(name, config, faults)
    refused = _of_rows(faults)
    if table is None:
        return Inputs(None, refused)
    if not any(role.is_list for role in roles):  # blank lines part sentences of words
        table = _with_blank_rows(table)
    found = inputs_of(table, config, roles, convert, trained)
    return replace(found, refused=(*refused, *found.refused))


def inputs_of(
    table: Table,
    config: DataConfig,
    roles: Sequence[Role],
    convert: Convert,
    trained: Mapping[str, str],
) -> Inputs:
    """The rows of a table, as `read_inputs`."""
    table = replace(as_asked(table, config), questions=True)
    config = _as_in_training(config, table, roles, trained)
    refused: list[Fault] = []
    while len(table):
        faults = _every_fault()
        converted = convert(table, config.columns, faults)
        facts = DataFacts()
        records = clean(converted, ALONE, config, roles, facts, faults, keep_empty=True)
        broken = _of_rows(faults)
        if not broken:
            return without_broken_texts(Inputs(records, tuple(refused), tuple(facts.said)))
        lines = {fault.place.line for fault in broken if fault.place}
        if not lines & set(table.lines):
            raise InputError(faults)
        refused += {fault.place.line: fault for fault in reversed(broken) if fault.place}.values()
        table = _without(table, lines)
    return Inputs(None, tuple(refused))


def without_broken_texts(inputs: Inputs) -> Inputs:
    """Rows with half a character, which no tokenizer takes, are refused."""
    records = inputs.records
    broken = records.broken_texts() if records is not None else []
    if not broken or records is None:
        return inputs
    kept = sorted(set(range(len(records))) - set(broken))
    refused = [
        Fault(
            "predict.text_not_unicode",
            "the text holds half a character (a surrogate by itself)",
            records.place(i),
            "write the character as UTF-8, or as both halves of its JSON escape",
        )
        for i in broken
    ]
    left = records.take(kept) if kept else None
    return replace(inputs, records=left, refused=(*inputs.refused, *refused))


def _as_in_training(
    config: DataConfig, table: Table, roles: Sequence[Role], trained: Mapping[str, str]
) -> DataConfig:
    """With the columns that had other names than their roles in training, too."""
    known = {role.name for role in roles}
    same = {role: name for role, name in trained.items() if role in known and name in table.columns}
    return config.model_copy(update={"columns": {**same, **config.columns}})


def _every_fault() -> Faults:
    """None is merely counted, for each stands for a row."""
    return Faults(shown=sys.maxsize)


def _of_rows(faults: Faults) -> tuple[Fault, ...]:
    """Faults of single rows. Raises `InputError` where one is of the file as a whole."""
    if not faults.only_of_rows:
        raise InputError(faults)
    return tuple(faults)


def _without(table: Table, lines: Collection[int | None]) -> Table:
    kept = [i for i, line in enumerate(table.lines) if line not in lines]
    columns = {name: [cells[i] for i in kept] for name, cells in table.columns.items()}
    return replace(table, columns=columns, lines=[table.lines[i] for i in kept])


def _with_blank_rows(table: Table) -> Table:
    """With the blank lines and rows between others, which readers leave out."""
    blank = set(table.blank_lines)
    if PurePath(table.source).suffix.lower() == ".txt" and len(table):
        blank = set(range(1, table.lines[-1])) - set(table.lines)
    if not blank:
        return table
    lines = sorted([*table.lines, *blank])
    where = {line: i for i, line in enumerate(table.lines)}
    columns = {
        name: [cells[where[line]] if line in where else None for line in lines]
        for name, cells in table.columns.items()
    }
    return replace(table, columns=columns, lines=lines)
