"""Duplicate texts: what counts as the same text, and where it recurs across splits."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from welltuned.data.records import Records


def normalise(text: str, compare_as: str = "text") -> str:
    """The form in which texts are compared.

    text: letters and digits alone, case-folded after NFKC; code: all but white
    space, since there every sign counts. A text of other signs only (`:-)`) is
    compared as it stands.
    """
    if compare_as == "code":
        return "".join(text.split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(character for character in folded if character.isalnum()) or folded.strip()


def keys_of(records: Records, compare_as: str) -> list[tuple[str, ...]]:
    """One comparison key a record: its inputs, normalised."""
    columns = [records[role] for role in records.input_roles]
    return [
        tuple(normalise(str(cell), compare_as) for cell in cells)
        for cells in zip(*columns, strict=True)
    ]


@dataclass(frozen=True)
class Overlap:
    """A record of a later split whose text is also in an earlier one."""

    earlier: str
    earlier_index: int
    later: str
    later_index: int
    exact: bool


def find_overlaps(
    splits: dict[str, Records], keys: Mapping[str, Sequence[tuple[str, ...]]]
) -> list[Overlap]:
    """Texts of validation that are in train, and of test that are in train or validation."""
    found: list[Overlap] = []
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    for split, records in splits.items():
        for index, key in enumerate(keys[split]):
            earlier = first.get(key)
            if earlier is not None and earlier[0] != split:
                found.append(
                    Overlap(
                        earlier[0],
                        earlier[1],
                        split,
                        index,
                        _inputs(splits[earlier[0]], earlier[1]) == _inputs(records, index),
                    )
                )
        for index, key in enumerate(keys[split]):
            first.setdefault(key, (split, index))
    return found


def count_repeats(keys: Iterable[tuple[str, ...]]) -> int:
    """How many records repeat an earlier one."""
    seen: set[tuple[str, ...]] = set()
    repeats = 0
    for key in keys:
        repeats += key in seen
        seen.add(key)
    return repeats


def _inputs(records: Records, index: int) -> tuple[object, ...]:
    return tuple(records[role][index] for role in records.input_roles)
