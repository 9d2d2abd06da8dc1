"""Duplicate texts: what counts as the same text, and where it recurs across splits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from welltuned.data.records import Records

_STOPS = ".,;:!?…。、｡।॥۔،؛؟።"
"""Signs that end sentences and their parts, in the scripts that have their own."""
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")
_NO_WORD_SPACES = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_IDLE_SPACES = re.compile(rf"(?<={_NO_WORD_SPACES}) | (?={_NO_WORD_SPACES})")
"""Spaces beside Chinese and Japanese signs, which part no words."""
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
"""Soft hyphens and spaces without width; joiners, which change letters, are not among them."""


def normalise(text: str, compare_as: str = "text") -> str:
    """The form in which texts are compared: texts that people read alike, and no others.

    text: case, the amount of white space, the width of East Asian signs, composed and combining
    spellings of one letter, apostrophes within words, signs without width, and full stops, commas,
    colons, question and exclamation marks at the end of words make no difference; all else does,
    such as marks on letters, signs, emoji and numbers. A text of such stops only is compared as it
    stands. code: all but white space counts.
    """
    if compare_as == "code":
        return "".join(text.split())
    if text.isascii():
        folded = text.lower()
    else:
        seen = "".join(map(_of_usual_width, text.translate(_UNSEEN)))
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", seen).casefold())
    words = _APOSTROPHES.sub("", folded).split()
    bare = [word.rstrip(_STOPS) for word in words]
    return _IDLE_SPACES.sub("", " ".join(filter(None, bare)) or " ".join(words))


@cache
def _of_usual_width(sign: str) -> str:
    """A full-width Latin or half-width Japanese sign as it is usually written."""
    is_resized = unicodedata.decomposition(sign).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", sign) if is_resized else sign


def keys_of(records: Records, compare_as: str) -> list[tuple[str, ...]]:
    """One comparison key a record: its inputs, normalised; words of a list parted by spaces."""
    columns = [records[role] for role in records.input_roles]
    return [
        tuple(normalise(_as_text(cell), compare_as) for cell in cells)
        for cells in zip(*columns, strict=True)
    ]


def _as_text(cell: object) -> str:
    return " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)


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


def find_repeats(keys: Iterable[tuple[str, ...]]) -> list[int]:
    """The records that repeat an earlier one."""
    seen: set[tuple[str, ...]] = set()
    repeats = []
    for i, key in enumerate(keys):
        if key in seen:
            repeats.append(i)
        seen.add(key)
    return repeats


def _inputs(records: Records, index: int) -> tuple[object, ...]:
    return tuple(records[role][index] for role in records.input_roles)
