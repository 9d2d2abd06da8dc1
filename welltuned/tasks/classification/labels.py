"""Labels: their kind, their names, and how a table cell becomes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from pydantic import JsonValue

from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records
from welltuned.errors import Faults

ProblemType = Literal["single_label", "multi_label", "regression"]

_MOST_CLASSES = 1000
_SEPARATORS = "|;,"


@dataclass(frozen=True)
class Labels:
    """The kind of problem, the names of its classes in order, and how targets are written."""

    problem: ProblemType
    keys: tuple[str, ...]
    """Each class as it is written in the data."""
    names: tuple[str, ...]
    """Each class as people call it."""
    separator: str | None = None
    mean: float = 0.0
    deviation: float = 1.0

    def to_dict(self) -> dict[str, JsonValue]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Labels:
        return cls(**{**values, "keys": tuple(values["keys"]), "names": tuple(values["names"])})


# --- Targets ------------------------------------------------------------------------


def read_classes(labels: Labels, records: Records, faults: Faults) -> np.ndarray:
    """The number of each record's class (N, int64)."""
    number = _numbers_of(labels)
    targets_N = np.zeros(len(records["label"]), dtype=np.int64)
    for index, cell in enumerate(records["label"]):
        if (key := as_key(cell)) in number:
            targets_N[index] = number[key]
        else:
            _refuse_label(key, labels, records, index, faults)
    return targets_N


def read_label_sets(labels: Labels, records: Records, faults: Faults) -> np.ndarray:
    """1 for each class of a record, 0 for the others (N, K, float32)."""
    number = _numbers_of(labels)
    targets_NK = np.zeros((len(records["label"]), len(labels.keys)), dtype=np.float32)
    for index, cell in enumerate(records["label"]):
        for key in split_cell(cell, labels.separator):
            if key in number:
                targets_NK[index, number[key]] = 1
            else:
                _refuse_label(key, labels, records, index, faults)
    return targets_NK


def read_numbers(records: Records, faults: Faults) -> np.ndarray:
    """The number of each record (N, float32)."""
    cells = enumerate(records["label"])
    numbers = [_number(cell, records, index, faults) for index, cell in cells]
    return np.array(numbers, dtype=np.float32)


def _numbers_of(labels: Labels) -> dict[str, int]:
    """The number of a class by its name, and as it is written in the data."""
    names = {name: i for i, name in enumerate(labels.names)}
    return names | {key: i for i, key in enumerate(labels.keys)}


def _refuse_label(key: str, labels: Labels, records: Records, index: int, faults: Faults) -> None:
    faults.add_counted(
        "task.label_unseen",
        "the label '{label}' does not occur in train",
        records.place(index),
        "labels are: {known}",
        label=key,
        known=", ".join(labels.keys[:20]) + (", …" if len(labels.keys) > 20 else ""),
    )


def _number(cell: Any, records: Records, index: int, faults: Faults) -> float:
    try:
        value = float(cell)
        if np.isfinite(value):
            return value
    except (TypeError, ValueError):
        pass
    faults.add_counted(
        "task.target_not_a_number",
        "the target {cell!r} is not a number",
        records.place(index),
        "give a finite number",
        cell=cell,
    )
    return 0.0


# --- Cells --------------------------------------------------------------------------


def as_key(cell: object) -> str:
    """A label as text: 1, 1.0, "1" and " 1 " are one label."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def split_cell(cell: object, separator: str | None) -> list[str]:
    """The labels in one cell: a list, or text with a separator. An empty cell has none."""
    if isinstance(cell, (list, tuple)):
        return [as_key(item) for item in cell]
    parts = str(cell).split(separator) if separator else [str(cell)]
    return [part.strip() for part in parts if part.strip()]


# --- Finding them -------------------------------------------------------------------


def find_labels(
    data: DataSplits,
    problem: str,
    separator: str | None,
    label_names: dict[str, str],
    faults: Faults,
) -> Labels | None:
    """Work out the kind of problem and its classes from the training split."""
    cells = data.train["label"]
    kind: ProblemType = _guess(cells, separator) if problem == "auto" else problem  # type: ignore[assignment]
    if kind == "regression":
        return _numbers(data, label_names, faults)
    if kind == "multi_label":
        separator = separator or _find_separator(cells)
        counts = Counter(key for cell in cells for key in split_cell(cell, separator))
    else:
        counts = Counter(as_key(cell) for cell in cells)
    place = data.train.place(0)
    if len(counts) < 2:
        only = f"only one class, '{next(iter(counts))}'" if counts else "no label at all"
        faults.add(
            "task.too_few_classes",
            "the training data contain {only}",
            place,
            "give examples of at least two classes",
            only=only,
        )
        return None
    if len(counts) > _MOST_CLASSES or (
        kind == "single_label" and len(counts) > 20 and len(counts) > len(cells) / 2
    ):
        faults.add(
            "task.too_many_classes",
            "{labels:,} different labels in {examples:,} examples",
            place,
            "check data.columns.label, or set task.problem=regression for numbers",
            labels=len(counts),
            examples=len(cells),
        )
        return None
    _refuse_twins(data, counts, kind, faults)
    keys = sorted(counts, key=_natural(counts))
    names = _names(keys, label_names, faults)
    return Labels(kind, tuple(keys), tuple(names), separator)


def _names(keys: list[str], label_names: dict[str, str], faults: Faults) -> list[str]:
    unknown = sorted(set(label_names) - set(keys))
    if unknown:
        faults.add(
            "task.label_names_unknown",
            "'task.label_names' names {unknown}, which do not occur",
            None,
            "labels are: {labels}",
            unknown=unknown,
            labels=", ".join(keys),
        )
    names = [label_names.get(key, key) for key in keys]
    if len(set(names)) < len(names):
        faults.add(
            "task.label_names_alike",
            "'task.label_names' gives two labels the same name",
            None,
            "give each label a name of its own",
        )
    return names


def _guess(cells: list[Any], separator: str | None) -> ProblemType:
    if separator is not None or any(isinstance(cell, (list, tuple)) for cell in cells):
        return "multi_label"
    try:
        numbers = [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return "single_label"
    return "single_label" if all(number.is_integer() for number in numbers) else "regression"


def _numbers(data: DataSplits, label_names: dict[str, str], faults: Faults) -> Labels | None:
    before = len(faults)
    targets = read_numbers(data.train, faults)
    if len(faults) > before:
        return None
    if targets.std() == 0:
        faults.add(
            "task.targets_all_equal",
            "all targets are {target:g}",
            data.train.place(0),
            "give targets that differ",
            target=float(targets[0]),
        )
        return None
    name = label_names.get("score", "score")
    return Labels(
        "regression",
        ("score",),
        (name,),
        mean=float(targets.mean()),
        deviation=float(targets.std()),
    )


def _find_separator(cells: list[Any]) -> str | None:
    """The sign that separates labels in text cells: the first of | ; , that occurs at all."""
    texts = [cell for cell in cells if isinstance(cell, str)]
    return next((mark for mark in _SEPARATORS if any(mark in text for text in texts)), None)


def _natural(counts: Counter[str]) -> Callable[[str], Any]:
    """Numbers in numeric order, words in alphabetical order."""
    try:
        {key: float(key) for key in counts}
    except ValueError:
        return lambda key: key
    return lambda key: float(key)


def _refuse_twins(
    data: DataSplits, counts: Counter[str], kind: ProblemType, faults: Faults
) -> None:
    """Labels that differ in case alone are one label misspelt."""
    twins: dict[str, list[str]] = {}
    for key in counts:
        twins.setdefault(key.casefold(), []).append(key)
    for spellings in twins.values():
        if len(spellings) > 1 and kind == "single_label":
            rare = min(spellings, key=lambda key: counts[key])
            index = next(i for i, cell in enumerate(data.train["label"]) if as_key(cell) == rare)
            others = ", ".join(f"'{key}' ({counts[key]:,})" for key in sorted(spellings))
            faults.add(
                "task.labels_differ_in_case",
                "labels differ only in case: {spellings}",
                data.train.place(index),
                "spell each label one way",
                spellings=others,
            )
