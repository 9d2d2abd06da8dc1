"""Corrections: labels that a person has checked take the place of those in the data.

A table has a row a record: its `id` (its own, or file and line), its label by that role's name and,
to be sure that it is still the same record, its texts by theirs. A blank label leaves the record
out; other columns are not read. `welltuned data suspects` writes such a file. The data themselves
stay as they are, and so does which split a record is in: splits are cut before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from welltuned.data.cells import as_flag, as_key, as_list, as_typed, is_missing
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.overlap.duplicates import normalise
from welltuned.data.readers.formats import ReadPath
from welltuned.data.records import Records, Role
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

_FEW = 20
"""So many different labels at least may be classes; of numbers as targets there are more."""

Splits = dict[str, Records]


def correct(
    splits: Splits,
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
    read: ReadPath,
) -> Splits:
    """The splits with the labels of `data.corrections`, one file after the other.

    What does not fit is recorded as faults, and what was changed is counted in the facts.
    """
    target = next((r.name for r in roles if r.is_target and r.name in splits["train"]), None)
    for name in config.corrections:
        table = read_file(name, DataConfig(train=name, header=True), faults, read)
        if table is None or _refuse_columns(table, target, faults) or target is None:
            continue
        typed = {name: list(map(as_typed, cells)) for name, cells in table.columns.items()}
        correction = _Correction(replace(table, columns=typed), target, splits)
        splits = correction.changed(faults)
        facts.note(
            "data.corrected",
            "{source}: labels corrected: {number:,}; records left out, as their label is blank "
            "there: {left_out:,}.",
            source=name,
            number=correction.number,
            left_out=correction.left_out,
        )
    return splits


@dataclass
class _Correction:
    """A table of corrections, and the splits that it is for."""

    table: Table
    target: str
    splits: Splits
    number: int = 0
    left_out: int = 0

    def changed(self, faults: Faults) -> Splits:
        """The splits with every label that the table has."""
        where = {
            records.id(i): (split, i)
            for split, records in self.splits.items()
            for i in range(len(records))
        }
        known = _known_labels(self.splits, self.target)
        labels = {split: list(records[self.target]) for split, records in self.splits.items()}
        dropped: dict[str, set[int]] = {split: set() for split in self.splits}
        for row, id in enumerate(self.table.columns["id"]):
            found = where.get(str(id).strip())
            if found is None or not self._is_same(row, *found):
                self._refuse_row(row, found, faults)
                continue
            split, i = found
            cell = self.table.columns[self.target][row]
            if is_missing(cell):
                dropped[split].add(i)
            elif _as_written(cell) != _as_written(labels[split][i]):
                self.number += 1
                labels[split][i] = self._label(row, labels[split][i], known, faults)
        self.left_out = sum(map(len, dropped.values()))
        return {
            split: _relabelled(records, self.target, labels[split], dropped[split])
            for split, records in self.splits.items()
        }

    def _is_same(self, row: int, split: str, i: int) -> bool:
        """Whether a row has the texts of a record, as far as it has them."""
        records = self.splits[split]
        given = (role for role in records.input_roles if role in self.table.columns)
        return all(
            _compared(self.table.columns[role][row]) == _compared(records[role][i])
            for role in given
        )

    def _refuse_row(self, row: int, found: tuple[str, int] | None, faults: Faults) -> None:
        id, place = self.table.columns["id"][row], self.table.place(row)
        if found is None:
            faults.add_counted(
                "data.correction_without_record",
                "no record of the data has the id '{id}'",
                place,
                "give the file that was made from these data: `welltuned data suspects` writes one",
                id=id,
            )
            return
        faults.add_counted(
            "data.correction_of_another_text",
            "the record '{id}' has another text in the data",
            place,
            "the data have changed since: make the file again with `welltuned data suspects`",
            id=id,
        )

    def _label(self, row: int, old: Any, known: set[str], faults: Faults) -> Any:
        """The new label in the form of the old one."""
        cell = self.table.columns[self.target][row]
        items = as_list(cell)
        wanted = [as_key(cell)] if items is None else [as_key(item) for item in items]
        unknown = [label for label in wanted if known and label not in known]
        if unknown:
            faults.add_counted(
                "data.correction_of_unknown_label",
                "no record of the data has the label '{label}'",
                self.table.place(row),
                "write one of: {known}",
                label=unknown[0],
                known=", ".join(sorted(known)[:_FEW]),
            )
        if isinstance(old, dict):
            return {name: int(as_key(name) in wanted) for name in old}
        return cell if items is None else wanted


def _as_written(label: object) -> object:
    """A label as it is compared: a text, or the set of several."""
    if isinstance(label, dict):
        return frozenset(as_key(name) for name, flag in label.items() if as_flag(flag))
    items = as_list(label)
    return as_key(label) if items is None else frozenset(map(as_key, items))


def _known_labels(splits: Splits, target: str) -> set[str]:
    """Every label of the data; none where they are too many to be classes."""
    cells = [cell for records in splits.values() for cell in records[target]]
    known: set[str] = set()
    for cell in cells:
        one = _as_written(list(cell) if isinstance(cell, dict) else cell)
        known |= {str(label) for label in one} if isinstance(one, frozenset) else {str(one)}
    return known if len(known) <= max(_FEW, len(cells) // 10) else set()


def _compared(cell: object) -> str:
    return normalise(" ".join(map(str, cell)) if isinstance(cell, list) else str(cell))


def _relabelled(records: Records, target: str, labels: list[Any], dropped: set[int]) -> Records:
    changed = replace(records, columns={**records.columns, target: labels})
    return changed.take([i for i in range(len(records)) if i not in dropped])


def _refuse_columns(table: Table, target: str | None, faults: Faults) -> bool:
    """Record that there is nothing to correct, or no column that says what; true where so."""
    if target is None:
        faults.add(
            "data.corrections_without_labels",
            "the task has no labels to correct",
            Place(table.source),
            "remove data.corrections",
        )
        return True
    missing = [name for name in ("id", target) if name not in table.columns]
    if missing:
        faults.add(
            "data.corrections_without_columns",
            "no column {missing}",
            Place(table.source, 1),
            "name the columns id and {target}; the file has: {columns}",
            missing=" and ".join(missing),
            target=target,
            columns=", ".join(table.columns),
        )
    return bool(missing)
