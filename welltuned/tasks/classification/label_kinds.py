"""Kinds of labels: whether they are classes or numbers, and which cells are neither."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from welltuned.data.cells import are_flags
from welltuned.data.decimals import is_number, parse_number
from welltuned.data.load_splits import DataSplits
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.records import Records
from welltuned.data.storage.on_disk import cells_but_texts
from welltuned.errors import Faults
from welltuned.schema.messages import message

KIND = question(
    "classes or numbers",
    asks="Are numbers as labels the names of classes, or what the model shall predict as numbers?",
    evidence="Fractions are numbers. Up to twenty different whole numbers, or all from 0 to the "
    "greatest, are classes. More whole numbers than that, with gaps, are asked about.",
    key="task.problem",
)
_FEW = 20
"""Whole numbers of no more different values are taken for classes."""
_SCALE = 3
"""Fewer values are two classes, about which there is no doubt."""


def tell_of_kind(kind: str, cells: Sequence[object], data: DataSplits, faults: Faults) -> None:
    """Say whether numbers are read as classes or as numbers; ask where both are likely."""
    if kind == "multi_label" or not all(map(is_number, cells)):
        return
    values = {parse_number(cell) or 0.0 for cell in cells}
    if len(values) < _SCALE:
        return
    if kind == "regression":
        data.facts.readings.append(_as_numbers(data.train.source, values))
    elif len(values) <= _FEW or values == set(map(float, range(len(values)))):
        data.facts.readings.append(_as_classes(data.train.source, values))
    elif len(values) <= len(cells) / 2:
        faults.add(
            "task.problem_unclear",
            "the labels are {number:,} different whole numbers from {least:g} to {greatest:g}",
            data.train.place(0),
            "task.problem=regression predicts numbers, task.problem=single_label takes each for a "
            "class",
            number=len(values),
            least=min(values),
            greatest=max(values),
        )


def _as_numbers(source: str, values: Collection[float]) -> Reading:
    said = message(
        "task.read_as_numbers",
        "{source}: the labels are read as numbers, for there are fractions among their {number:,} "
        "values; task.problem=single_label takes each value for a class.",
        source=source,
        number=len(values),
    )
    return read_as(KIND, "numbers", said)


def _as_classes(source: str, values: Collection[float]) -> Reading:
    said = message(
        "task.read_as_classes",
        "{source}: the labels are read as classes, for they are {number:,} whole numbers from "
        "{least:g} to {greatest:g}; task.problem=regression predicts them as numbers.",
        source=source,
        number=len(values),
        least=min(values),
        greatest=max(values),
    )
    return read_as(KIND, "classes", said)


def refuse_unreadable(kind: str, train: Records, faults: Faults) -> None:
    """Refuse lists and objects where there is one label to a text, and within lists of labels."""
    for row, cell in cells_but_texts(train["label"]):
        if not isinstance(cell, (list, tuple, dict)):
            continue
        if kind == "single_label":
            faults.add_counted(
                "task.label_is_a_list",
                "the label is {cell}, but one label is wanted",
                train.place(row),
                "set task.problem=multi_label for several labels, or write one label in each cell",
                cell=repr(cell)[:60],
            )
        elif not _holds_labels(cell):
            faults.add_counted(
                "task.label_is_an_object",
                "the label is {cell}, which is not a text, a number or a list of these",
                train.place(row),
                "write the label itself, or name a column that holds it in data.columns.label",
                cell=repr(cell)[:60],
            )


def _holds_labels(cell: Sequence[object] | dict[str, object]) -> bool:
    """Whether it is a list of plain values, or says of each label whether it applies."""
    if isinstance(cell, dict):
        return are_flags(cell)
    return not any(isinstance(item, (list, tuple, dict)) for item in cell)
