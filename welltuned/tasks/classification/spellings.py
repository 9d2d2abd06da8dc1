"""Spellings of labels: which are one label, and which look like one but may be two."""

from __future__ import annotations

import unicodedata
from collections import Counter

from welltuned.data.cells import as_key
from welltuned.data.readings import question
from welltuned.data.records import Records
from welltuned.errors import Faults, Place

SPELLINGS = question(
    "spellings of labels",
    asks="Are labels one that differ only in case, or in signs nobody sees?",
    evidence="1, 1.0 and ' 1 ' are one label, and so are composed and combining spellings of one "
    "letter. Labels that differ only in case, in white space of another kind, or in signs without "
    "width are asked about.",
    key="task.merge_spellings",
)


def fold_spelling(key: str) -> str:
    """A label without what nobody sees, in one case."""
    seen = "".join(sign for sign in key if unicodedata.category(sign) != "Cf")
    return " ".join(seen.casefold().split())


def merged(counts: Counter[str]) -> Counter[str]:
    """The labels, of alike spellings only the most frequent."""
    spellings: dict[str, list[str]] = {}
    for key in sorted(counts, key=lambda key: (-counts[key], key)):
        spellings.setdefault(fold_spelling(key), []).append(key)
    return Counter({same[0]: sum(map(counts.__getitem__, same)) for same in spellings.values()})


def refuse_twins(
    train: Records, counts: Counter[str], separator: str | None, faults: Faults
) -> None:
    """Labels that differ in case or in signs nobody sees may be one label misspelt."""
    twins: dict[str, list[str]] = {}
    for key in counts:
        twins.setdefault(fold_spelling(key), []).append(key)
    for spellings in (same for same in twins.values() if len(same) > 1):
        rare = min(spellings, key=lambda key: counts[key])
        index = next(i for i, cell in enumerate(train["label"]) if rare in _keys(cell, separator))
        others = ", ".join(f"'{visible(key)}' ({counts[key]:,})" for key in sorted(spellings))
        by_case = len({key.casefold() for key in spellings}) == 1
        ask = _ask_about_case if by_case else _ask_about_unseen_signs
        ask(others, train.place(index), faults)


def _ask_about_case(spellings: str, place: Place, faults: Faults) -> None:
    faults.add(
        "task.labels_differ_in_case",
        "labels differ only in case: {spellings}",
        place,
        "task.merge_spellings=true reads them as one label, task.merge_spellings=false as "
        "different ones",
        spellings=spellings,
    )


def _ask_about_unseen_signs(spellings: str, place: Place, faults: Faults) -> None:
    faults.add(
        "task.labels_differ_invisibly",
        "labels differ only in signs that nobody sees: {spellings}",
        place,
        "task.merge_spellings=true reads them as one label, task.merge_spellings=false as "
        "different ones",
        spellings=spellings,
    )


def _keys(cell: object, separator: str | None) -> set[str]:
    items = cell if isinstance(cell, (list, tuple, dict)) else str(cell).split(separator or "\0")
    return {as_key(item) for item in items}


def refuse_spelling(key: str, known: str, place: Place, faults: Faults) -> None:
    """A label that train spells otherwise."""
    faults.add_counted(
        "task.label_spelled_otherwise",
        "the label '{label}' is '{known}' in train",
        place,
        "task.merge_spellings=true in training reads both as one label; or spell it as in train",
        label=visible(key),
        known=visible(known),
    )


def visible(key: str) -> str:
    """A label whose unseen signs and unusual spaces are written as their code points."""
    return "".join(
        sign if sign == " " or sign.isprintable() else f"\\u{ord(sign):04x}" for sign in key
    )
