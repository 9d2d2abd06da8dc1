"""Duplicate texts: what counts as the same text, and where it recurs across splits."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from welltuned.data.records import Records

_STOPS = ".,;:!?…。、｡।॥۔،؛؟።"
"""Signs that end sentences and their parts, in the scripts that have their own."""
_APOSTROPHES = re.compile(r"['’](?<=\w.)(?=\w)")
"""Those within words; a pattern that begins with what is rare is found fastest."""
_NO_WORD_SPACES = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_IDLE_SPACES = re.compile(rf" (?=(?<={_NO_WORD_SPACES} )|{_NO_WORD_SPACES})")
"""Spaces beside Chinese and Japanese signs, which part no words."""
_PARTED_BY = "\x1f"
"""White space, and so in no normalised text."""
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Soft hyphens and spaces without width; joiners, which change letters, are not among them."""
_RESIZED = re.compile("[\u3000\uff01-\uffee]")
"""The block of signs that are wider or narrower than usual."""


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
        return _without_stops(text.lower())
    seen = _RESIZED.sub(lambda found: _of_usual_width(found[0]), _UNSEEN.sub("", text))
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", seen).casefold())
    return _IDLE_SPACES.sub("", _without_stops(folded))


def _without_stops(text: str) -> str:
    """The words with a space between them, without stops at their ends, unless all are stops."""
    bare = _APOSTROPHES.sub("", text) if "'" in text or "’" in text else text
    words = bare.split()
    return " ".join(filter(None, [word.rstrip(_STOPS) for word in words])) or " ".join(words)


@cache
def _of_usual_width(sign: str) -> str:
    """A full-width Latin or half-width Japanese sign as it is usually written."""
    is_resized = unicodedata.decomposition(sign).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", sign) if is_resized else sign


def keys_of(records: Records, compare_as: str) -> list[tuple[str, ...]]:
    """One comparison key a record: its inputs, normalised; words of a list parted by spaces."""
    return list(_each_key(records, compare_as))


def compared_texts(records: Records, compare_as: str) -> list[str]:
    """The same as one text a record, a line for each input."""
    return ["\n".join(key) for key in _each_key(records, compare_as)]


def with_digests(records: Records, compare_as: str) -> Records:
    """The records with a hash of the comparison key of each, 128 bits, so that texts need not be
    held and are compared but once."""
    return replace(records, keys=[_digest(key) for key in _each_key(records, compare_as)])


def digests_of(records: Records, compare_as: str) -> Sequence[bytes]:
    """The hashes that `with_digests` found, or that it would find."""
    return records.keys or with_digests(records, compare_as).keys or []


def _each_key(records: Records, compare_as: str) -> Iterator[tuple[str, ...]]:
    def read(cell: object) -> str:
        return normalise(_as_text(cell), compare_as)

    return zip(*(map(read, records[role]) for role in records.input_roles), strict=True)


def _digest(key: tuple[str, ...]) -> bytes:
    joined = _PARTED_BY.join(key).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).digest()


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
    splits: dict[str, Records], keys: Mapping[str, Sequence[Hashable]]
) -> list[Overlap]:
    """Texts of validation that are in train, and of test that are in train or validation."""
    found: list[Overlap] = []
    firsts: dict[str, dict[Hashable, int]] = {}
    for split, records in splits.items():
        for index, key in enumerate(keys[split]):
            earlier = next((name for name, first in firsts.items() if key in first), None)
            if earlier is not None:
                at = firsts[earlier][key]
                exact = _inputs(splits[earlier], at) == _inputs(records, index)
                found.append(Overlap(earlier, at, split, index, exact))
        firsts[split] = {}
        for index, key in enumerate(keys[split]):
            firsts[split].setdefault(key, index)
    return found


def find_repeats(keys: Iterable[Hashable]) -> list[int]:
    """The records that repeat an earlier one."""
    seen: set[Hashable] = set()
    repeats = []
    for i, key in enumerate(keys):
        if key in seen:
            repeats.append(i)
        seen.add(key)
    return repeats


def _inputs(records: Records, index: int) -> tuple[object, ...]:
    return tuple(records[role][index] for role in records.input_roles)
