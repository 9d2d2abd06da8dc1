"""Label sets: how several labels are told from one, and what is said or asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from welltuned.data.cells import as_flag
from welltuned.data.readings import Reading, question, read_as
from welltuned.errors import Faults, Place
from welltuned.schema.messages import message

SEVERAL = question(
    "several labels",
    asks="Does a cell hold one label, several labels, or 0 and 1 for each label there is?",
    evidence="Lists, also as Python, NumPy or JSON write them, hold several labels; lists of equal "
    "length with nothing but 0 and 1 say for each label whether it applies. A sign such as | parts "
    "labels where some part of a cell is also a label by itself, and | also where parts recur in "
    "other places. Where parts recur otherwise, or only some cells are lists, it is asked.",
    key="task.problem",
)
_MARKS = "|;,"


# --- Evidence ------------------------------------------------------------------------


def flag_width(lists: Sequence[Sequence[object]], names: Sequence[str] = ()) -> int:
    """The number of labels where lists are flags for each; 0 where they hold labels.

    They are flags where all have two items or more, all of them 0 or 1, and are as long as each
    other, or say 0 or 1 more than once, which no set of labels does.
    """
    filled = [items for items in lists if len(items)]
    widths = Counter(len(items) for items in filled)
    if not filled or min(widths) < 2 or {str(name) for name in names} & {"0", "1"}:
        return 0
    if any(as_flag(item) is None for items in filled for item in items):
        return 0
    repeats = any(len(set(map(as_flag, items))) < len(items) for items in filled)
    return widths.most_common(1)[0][0] if len(widths) == 1 or repeats else 0


def parted_by(texts: Sequence[str]) -> tuple[str, bool | None] | None:
    """(the sign that may part labels, whether it does), which is None where nobody can tell.

    None where no text has such a sign.
    """
    for mark in _MARKS:
        joined = {text for text in texts if mark in text}
        if not joined:
            continue
        alone = {text.strip() for text in texts if mark not in text}
        parted = [[part.strip() for part in text.split(mark)] for text in sorted(joined)]
        parts = Counter(part for found in parted for part in set(found) if part)
        recurs = any(number > 1 for number in parts.values())
        if alone & set(parts) or (recurs and mark == "|" and not _are_levels(parted)):
            return mark, True
        return mark, None if recurs else False
    return None


def _are_levels(parted: Sequence[Sequence[str]]) -> bool:
    """Whether parts could be levels, as of `animals|dogs`: as many, each at one level alone."""
    places = {(part, place) for found in parted for place, part in enumerate(found)}
    are_as_many = len({len(found) for found in parted}) == 1
    return are_as_many and len({part for part, _ in places}) == len(places)


# --- What is said --------------------------------------------------------------------


def flags_read(source: str, column: str, width: int) -> Reading:
    said = message(
        "task.labels_as_flags",
        "{source}: the lists in '{column}' are read as 0 or 1 for each of {width} labels, for they "
        "hold nothing else; task.label_names=[…] names them in order.",
        source=source,
        column=column,
        width=width,
    )
    return read_as(SEVERAL, "flags", said)


def lists_read(source: str, column: str, example: str) -> Reading:
    said = message(
        "task.labels_as_lists",
        "{source}: '{column}' is read as several labels, for every cell is written as a list, such "
        "as {example}; task.problem=single_label takes each cell as one label.",
        source=source,
        column=column,
        example=example,
    )
    return read_as(SEVERAL, "lists", said)


def parts_read(source: str, column: str, mark: str, example: str) -> Reading:
    said = message(
        "task.labels_parted",
        "{source}: '{column}' is read as several labels parted by '{mark}', for parts of {example} "
        "occur elsewhere; task.problem=single_label takes each cell as one label.",
        source=source,
        column=column,
        mark=mark,
        example=repr(example),
    )
    return read_as(SEVERAL, "parts", said)


def not_parted(source: str, column: str, mark: str, example: str) -> Reading:
    said = message(
        "task.labels_not_parted",
        "{source}: each cell of '{column}' is read as one label, for no part of {example} occurs "
        "elsewhere; task.label_separator='{mark}' takes the parts as labels.",
        source=source,
        column=column,
        mark=mark,
        example=repr(example),
    )
    return read_as(SEVERAL, "one", said)


# --- What is asked -------------------------------------------------------------------


def ask_for_lists(example: Sequence[object], other: object, place: Place, faults: Faults) -> None:
    faults.add(
        "task.label_lists_unclear",
        "some labels are lists, such as {example}, others are not, such as {other!r}",
        place,
        "task.problem=multi_label reads lists as several labels, task.problem=single_label takes "
        "each cell as one label",
        example=list(example),
        other=other,
    )


def ask_for_separator(mark: str, example: str, place: Place, faults: Faults) -> None:
    faults.add(
        "task.label_separator_unclear",
        "'{example}' may be one label, or several parted by '{mark}'",
        place,
        "task.label_separator='{mark}' reads several labels, task.problem=single_label one",
        example=example,
        mark=mark,
    )
