"""Label columns: what stands in them, brought into one form before rows are cleaned.

Whether a cell holds one label, several or flags is seen from the whole column. Several labels
become a list, which is empty where the cell is; flags become {label: whether it applies}; numbers
with a decimal comma become numbers. What is picked for the training file holds for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from welltuned.data.cells import as_flag, as_list, is_missing, split_names
from welltuned.data.decimals import settle_numbers
from welltuned.data.readings import Reading
from welltuned.data.records import map_columns
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.tasks.classification.columns import ROLES
from welltuned.tasks.classification.label_sets import (
    SEVERAL,
    ask_for_lists,
    ask_for_separator,
    flag_width,
    flags_read,
    lists_read,
    not_parted,
    parted_by,
    parts_read,
)

Form = Literal["one", "lists", "flags", "parts"]


@dataclass(frozen=True)
class LabelColumn:
    """The cells that hold labels, and where they stand."""

    table: Table
    name: str
    cells: Sequence[object]

    @property
    def filled(self) -> list[object]:
        return [cell for cell in self.cells if not is_missing(cell)]

    def settled(self, question: str) -> Reading | None:
        """How the training file was read."""
        return next((one for one in self.table.settled if one.question == question), None)

    def first(self, cells: Iterable[object]) -> tuple[object, int]:
        """The first of these cells in the column, and its row."""
        wanted = list(cells)
        return next((cell, i) for i, cell in enumerate(self.cells) if cell in wanted)


@dataclass(frozen=True)
class LabelReader:
    """How a classification reads its label column: by its config, or as a model knows it."""

    problem: str
    """As `task.problem`."""
    separator: str | None = None
    names: tuple[str, ...] = ()
    """The labels that a model knows; none before training."""

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """The table with its label column in one form; as it is where it has no such column."""
        table = _gathered(table, columns, self.names, faults)
        name = map_columns(table, ROLES, columns, Faults()).get("label")
        if name is None:
            return table
        column = LabelColumn(table, name, table.columns[name])
        may_be_numbers = self.problem in ("auto", "regression") and self.separator is None
        numbers = settle_numbers(table, name, faults) if may_be_numbers else None
        cells, readings = numbers or self._several(column, faults)
        return replace(
            table, columns={**table.columns, name: cells}, readings=(*table.readings, *readings)
        )

    def _several(
        self, column: LabelColumn, faults: Faults
    ) -> tuple[Sequence[object], list[Reading]]:
        if self.problem in ("single_label", "regression"):
            return column.cells, []
        settled = column.settled(SEVERAL.name)
        if settled is None:
            form, mark, readings = self._form_of(column, faults)
        else:
            form, mark = cast(Form, settled.picked), settled.said["values"].get("mark")
            readings = []
        cells = list(column.cells)
        if form in ("lists", "flags") or self.problem == "multi_label":
            cells = [cell if (found := as_list(cell)) is None else found for cell in cells]
        if form == "flags":
            cells = self._with_flags(column, cells, faults)
        elif form == "parts":
            cells = [_parted(cell, mark) for cell in cells]
        if form != "one" or self.problem == "multi_label" or self.separator is not None:
            cells = [[] if is_missing(cell) else cell for cell in cells]
        return cells, readings

    def _form_of(
        self, column: LabelColumn, faults: Faults
    ) -> tuple[Form, str | None, list[Reading]]:
        """What cells hold, the sign that parts labels, and what is said of it."""
        filled = column.filled
        lists = [found for cell in filled if (found := as_list(cell)) is not None]
        if lists and len(lists) < len(filled) and self.problem == "auto":
            odd = column.first(cell for cell in filled if as_list(cell) is None)
            ask_for_lists(lists[0], odd[0], column.table.place(odd[1]), faults)
            return "one", None, []
        if lists and (width := flag_width(lists, self.names)):
            return "flags", None, [flags_read(column.table.source, column.name, width)]
        if lists:
            written = [cell for cell in filled if isinstance(cell, str)]
            said = [lists_read(column.table.source, column.name, cell) for cell in written[:1]]
            return "lists", None, said
        if self.problem == "auto" and self.separator is None:
            return self._parts_of(column, faults)
        return "one", None, []

    def _parts_of(
        self, column: LabelColumn, faults: Faults
    ) -> tuple[Form, str | None, list[Reading]]:
        texts = [cell for cell in column.filled if isinstance(cell, str)]
        found = parted_by(texts)
        if found is None:
            return "one", None, []
        mark, is_certain = found
        example = next(text for text in texts if mark in text)
        row, source = column.cells.index(example), column.table.source
        if is_certain is None:
            ask_for_separator(mark, example, column.table.place(row), faults)
            return "one", None, []
        if not is_certain:
            return "one", None, [not_parted(source, column.name, mark, example)]
        return "parts", mark, [parts_read(source, column.name, mark, example)]

    def _with_flags(self, column: LabelColumn, cells: list[object], faults: Faults) -> list[object]:
        """{label: whether it applies} for each list of flags; others are faults."""
        lists = [cell for cell in cells if isinstance(cell, list)]
        width = len(self.names) or max(map(len, lists), key=[len(cell) for cell in lists].count)
        names = self.names or tuple(f"label_{i}" for i in range(width))
        for row, cell in enumerate(cells):
            if isinstance(cell, list) and len(cell) != width:
                faults.add_counted(
                    "task.flags_differ_in_number",
                    "{found} flags where other rows have {expected}",
                    column.table.place(row),
                    "write 0 or 1 for each label",
                    found=len(cell),
                    expected=width,
                )
        return [_named_flags(cell, names) if isinstance(cell, list) else cell for cell in cells]


def _parted(cell: object, mark: str | None) -> object:
    if not isinstance(cell, str):
        return cell
    return [part.strip() for part in cell.split(mark) if part.strip()]


def _named_flags(flags: Sequence[object], names: Sequence[str]) -> dict[str, bool] | list[object]:
    """Flags by name; as they are where they are of another number."""
    found = [as_flag(flag) for flag in flags]
    if len(flags) != len(names) or None in found:
        return list(flags)
    return {name: bool(flag) for name, flag in zip(names, found, strict=True)}


# --- A column for each label ---------------------------------------------------------


def _gathered(table: Table, columns: dict[str, str], names: Sequence[str], faults: Faults) -> Table:
    """The table with columns of flags as one column, as the user or the model names them."""
    asked = columns.get("labels") or columns.get("label") or ""
    wanted, joint = ([] if asked in table.columns else split_names(asked)), asked
    if not asked and names and "label" not in map_columns(table, ROLES, columns, Faults()):
        wanted, joint = list(names), "label"
    if len(wanted) < 2 or not set(wanted) <= set(table.columns):
        return table
    cells = [_flags_of_row(table, row, wanted, faults) for row in range(len(table))]
    others = {name: column for name, column in table.columns.items() if name not in wanted}
    return replace(table, columns={**others, joint: cells})


def _flags_of_row(
    table: Table, row: int, columns: Sequence[str], faults: Faults
) -> dict[str, bool] | None:
    """Which labels apply; None where a cell does not say, which is a fault."""
    flags = {column: as_flag(table.columns[column][row]) for column in columns}
    unclear = next((column for column, flag in flags.items() if flag is None), None)
    if unclear is None:
        return {column: bool(flag) for column, flag in flags.items()}
    faults.add_counted(
        "task.flag_unreadable",
        "'{column}' is {cell}, which is neither 0 nor 1",
        table.place(row),
        "write 0 or 1, or true or false",
        column=unclear,
        cell=repr(table.columns[unclear][row])[:60],
    )
    return None
