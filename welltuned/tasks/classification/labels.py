"""Labels: their kind, their names, and how a table cell becomes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import JsonValue

from welltuned.data.cells import as_flag, as_key
from welltuned.data.decimals import DECIMAL, Mark, is_number, parse_number
from welltuned.data.load_splits import DataSplits
from welltuned.data.missing_labels import may_be_missing
from welltuned.data.records import Records
from welltuned.errors import Faults, Place
from welltuned.tasks.classification.label_kinds import refuse_unreadable, tell_of_kind
from welltuned.tasks.classification.label_sets import SEVERAL
from welltuned.tasks.classification.spellings import (
    fold_spelling,
    merged,
    refuse_spelling,
    refuse_twins,
)

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
    decimal: Mark = "point"
    """The decimal mark of numbers in the training file."""
    merged: bool = False
    """Whether spellings that differ in case or in invisible signs alone are one label."""

    def number_of(self, key: str) -> int | None:
        """The number of a class, as it is written in the data or by its name; None if unknown."""
        known = self._numbers
        return known.get(key, known.get(fold_spelling(key)) if self.merged else None)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        names = {name: i for i, name in enumerate(self.names)}
        known = names | {key: i for i, key in enumerate(self.keys)}
        return {fold_spelling(key): i for key, i in known.items()} | known if self.merged else known

    def to_dict(self) -> dict[str, JsonValue]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Labels:
        return cls(**{**values, "keys": tuple(values["keys"]), "names": tuple(values["names"])})


# --- Targets ------------------------------------------------------------------------


def read_classes(labels: Labels, records: Records, faults: Faults) -> np.ndarray:
    """The number of each record's class (N, int64)."""
    keys = list(map(as_key, records["label"]))
    numbers = {key: labels.number_of(key) for key in dict.fromkeys(keys)}
    if None in numbers.values():
        for index, key in enumerate(keys):
            if numbers[key] is None:
                _refuse_label(key, labels, records, index, faults)
    return np.asarray([numbers[key] or 0 for key in keys], dtype=np.int64)


def read_label_sets(labels: Labels, records: Records, faults: Faults) -> np.ndarray:
    """1 for each class of a record, 0 for the others (N, K, float32)."""
    targets_NK = np.zeros((len(records["label"]), len(labels.keys)), dtype=np.float32)
    for index, cell in enumerate(records["label"]):
        for key in split_cell(cell, labels.separator):
            number = labels.number_of(key)
            if number is None:
                _refuse_label(key, labels, records, index, faults)
            else:
                targets_NK[index, number] = 1
    return targets_NK


def read_numbers(records: Records, faults: Faults) -> np.ndarray:
    """The number of each record (N, float32)."""
    cells = enumerate(records["label"])
    numbers = [_number(cell, records, index, faults) for index, cell in cells]
    return np.array(numbers, dtype=np.float32)


def _refuse_label(key: str, labels: Labels, records: Records, index: int, faults: Faults) -> None:
    """A label that train lacks: spelled otherwise there, one that may say there is none, or new."""
    place = records.place(index)
    alike = next(
        (known for known in labels.keys if fold_spelling(known) == fold_spelling(key)), None
    )
    if alike is not None:
        refuse_spelling(key, alike, place, faults)
    elif may_be_missing(key):
        faults.add_counted(
            "task.label_may_be_missing",
            "the label '{label}' does not occur in train",
            place,
            "data.missing=[{label}] leaves rows without a label out",
            label=key,
        )
    else:
        _refuse_unseen(key, labels, place, faults)


def _refuse_unseen(key: str, labels: Labels, place: Place, faults: Faults) -> None:
    faults.add_counted(
        "task.label_unseen",
        "the label '{label}' does not occur in train",
        place,
        "labels are: {known}",
        label=key,
        known=", ".join(labels.keys[:20]) + (", …" if len(labels.keys) > 20 else ""),
    )


def _number(cell: Any, records: Records, index: int, faults: Faults) -> float:
    if is_number(cell):
        return parse_number(cell) or 0.0
    faults.add_counted(
        "task.target_not_a_number",
        "the target {cell!r} is not a number",
        records.place(index),
        "give a finite number",
        cell=cell,
    )
    return 0.0


# --- Cells --------------------------------------------------------------------------


def split_cell(cell: object, separator: str | None) -> list[str]:
    """The labels in one cell: a list, flags by label, or text. An empty cell has none."""
    if isinstance(cell, dict):
        return [as_key(label) for label, flag in cell.items() if as_flag(flag)]
    if isinstance(cell, (list, tuple)):
        return [as_key(item) for item in cell]
    parts = str(cell).split(separator) if separator else [str(cell)]
    return [as_key(part) for part in parts if part.strip()]


# --- Finding them -------------------------------------------------------------------


def find_labels(
    data: DataSplits,
    problem: str,
    separator: str | None,
    label_names: dict[str, str],
    faults: Faults,
    merge: bool | None = None,
) -> Labels | None:
    """Work out the kind of problem and its classes from the training split.

    `merge`: whether spellings that differ in case or invisible signs alone are one label; None
    asks about them.
    """
    cells, before = data.train["label"], len(faults)
    kind: ProblemType = _guess(cells, separator) if problem == "auto" else problem  # type: ignore[assignment]
    if problem == "auto":
        tell_of_kind(kind, cells, data, faults)
    if kind == "regression":
        return _numbers(data, label_names, faults)
    refuse_unreadable(kind, data.train, faults)
    if len(faults) > before:
        return None
    if kind == "multi_label":
        separator = separator or _mark_in(data) or _find_separator(cells)
        counts = Counter(key for cell in cells for key in split_cell(cell, separator))
    else:
        counts = Counter(as_key(cell) for cell in cells)
    flagged = next((list(cell) for cell in cells if isinstance(cell, dict)), [])
    counts.update(dict.fromkeys(flagged, 0))
    if merge:
        counts = merged(counts)
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
    if merge is None:
        refuse_twins(data.train, counts, separator, faults)
    keys = flagged or sorted(counts, key=_natural(counts))
    names = _names(keys, _by_key(label_names, flagged), faults)
    return Labels(kind, tuple(keys), tuple(names), separator, merged=bool(merge))


def _by_key(label_names: dict[str, str], flagged: list[str]) -> dict[str, str]:
    """Names of labels that stand in an order may be given by their place in it, from 0."""
    places = {str(i): key for i, key in enumerate(flagged)}
    return {places.get(key, key): name for key, name in label_names.items()}


def _mark_in(data: DataSplits) -> str | None:
    """The sign that was found to part labels when the training file was read."""
    told = (one for one in data.facts.readings if one.question == SEVERAL.name)
    return next((one.said["values"].get("mark") for one in told if one.picked == "parts"), None)


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


def _guess(cells: Sequence[Any], separator: str | None) -> ProblemType:
    if separator is not None or any(isinstance(cell, (list, tuple, dict)) for cell in cells):
        return "multi_label"
    numbers = [parse_number(cell) or 0.0 for cell in cells if is_number(cell)]
    if len(numbers) < len(cells) or all(number.is_integer() for number in numbers):
        return "single_label"
    return "regression"


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
        decimal="comma" if _has_comma(data) else "point",
    )


def _has_comma(data: DataSplits) -> bool:
    """Whether the training file's numbers had a decimal comma."""
    told = (one for one in data.facts.readings if one.question == DECIMAL.name)
    return any(one.picked == "comma" for one in told)


def _find_separator(cells: Sequence[Any]) -> str | None:
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
