"""Entities in tagged sentences: which tags mark them, and where they are.

An entity is a stretch of words of one type. Found is one with exactly the right
words and the right type. Malformed tags are read as CoNLL's own script and
seqeval read them: `I-PER` after `O`, or after another type, begins an entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
NO_TYPE = "_"
"""The type of entities whose tags name none, such as plain `B` and `I`."""

Tags = Sequence[str | None]
"""The tags of a sentence's words; None for a word that was never read."""

_TYPED = re.compile(r"[BIESLUM]-.+", re.DOTALL)
_BARE = re.compile(r"[BIESLUM]")
_SAME = {"L": "E", "U": "S", "M": "I"}
"""Last, unit and middle (BILOU, BMES) are end, single and inside (BIOES)."""


class Entity(NamedTuple):
    """A type and the words it spans: `start` to, but not including, `stop`."""

    type: str
    start: int
    stop: int


def mark_entities(tags: Iterable[str]) -> bool:
    """Whether a set of tags marks entities (IOB1, IOB2, BIOES, …) and not, say, parts of speech."""
    known = set(tags)
    typed = {tag for tag in known if _TYPED.fullmatch(tag)}
    bare = {tag for tag in known if _BARE.fullmatch(tag)}
    if known <= typed | bare | {OUTSIDE}:
        return bool(typed) or bool(bare & {"B", "I"})
    return bool(typed) and OUTSIDE in known


def split_tag(tag: str | None) -> tuple[str, str]:
    """(`B`, `I`, `E`, `S` or `O`, type). What is no tag of an entity is outside."""
    if tag is None or not (_TYPED.fullmatch(tag) or _BARE.fullmatch(tag)):
        return OUTSIDE, ""
    return _SAME.get(tag[0], tag[0]), tag[2:] or NO_TYPE


def find_entities(tags: Tags) -> list[Entity]:
    """The entities of one sentence, in order.

    An entity ends before `O`, `B`, `S` and another type, and after `E` and `S`.
    """
    entities: list[Entity] = []
    start, inside, ended = 0, "", True
    for position, tag in enumerate([*tags, None]):
        prefix, kind = split_tag(tag)
        begins = prefix in ("B", "S") or kind != inside or ended
        if inside and begins:
            entities.append(Entity(inside, start, position))
        if begins:
            start = position
        inside, ended = kind, prefix in ("E", "S")
    return entities
