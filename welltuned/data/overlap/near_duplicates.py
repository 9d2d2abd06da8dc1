"""Near-duplicates: texts that share most of their pieces, as groups, and as pairs that contradict.

Of two near-duplicates with different labels one label is wrong, or both are doubtful.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from welltuned.data.overlap.minhash import buckets, pairs_within, pieces, resemblance, signatures

ALIKE = 0.8
"""The share of pieces from which texts are near-duplicates."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two texts that are nearly the same and bear different labels, by their places."""

    one: int
    other: int
    similarity: float
    """The share of their pieces that both have; 1 for equal texts."""


def near_duplicates(texts: Sequence[str], labels: Sequence[str]) -> list[NearDuplicate]:
    """Pairs of like texts with different labels, the most alike first.

    `texts` as they are compared, which `data.duplicates.normalise` makes them. Of equal texts only
    the first with each label counts.
    """
    firsts: dict[str, dict[str, int]] = defaultdict(dict)
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        firsts[text].setdefault(label, i)
    found = [_pair(same, same, 1.0) for same in firsts.values() if len(same) > 1]
    unique = list(firsts)
    alike = {pair for bucket in buckets(signatures(unique)) for pair in pairs_within(bucket)}
    for one, other in sorted(alike):
        mine, theirs = firsts[unique[one]], firsts[unique[other]]
        if len(mine.keys() | theirs.keys()) > 1:
            similarity = resemblance(pieces(unique[one]), pieces(unique[other]))
            if similarity >= ALIKE:
                found.append(_pair(mine, theirs, similarity))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.one, pair.other))


def _pair(mine: dict[str, int], theirs: dict[str, int], similarity: float) -> NearDuplicate:
    """The first two of them that bear different labels."""
    places = [(i, j) for a, i in mine.items() for b, j in theirs.items() if a != b]
    one, other = sorted(min(places))
    return NearDuplicate(one, other, similarity)


# --- Groups ------------------------------------------------------------------------


class Joined:
    """Things that belong together, whether at once or through others (union–find: Tarjan 1975)."""

    def __init__(self, number: int) -> None:
        self._above = list(range(number))

    def first(self, one: int) -> int:
        """The earliest of those that a thing belongs with."""
        above = self._above
        while above[one] != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    def join(self, one: int, other: int) -> None:
        """These two belong together, and so do all that belong with them."""
        early, late = sorted((self.first(one), self.first(other)))
        self._above[late] = early


def join_near_duplicates(joined: Joined, texts: Sequence[str]) -> None:
    """Join all texts that are near-duplicates; `texts` as they are compared.

    Where one is like another and that like a third, all three are together.
    """
    places: dict[str, int] = {}
    for i, text in enumerate(texts):
        joined.join(places.setdefault(text, i), i)
    unique = list(places)
    for bucket in buckets(signatures(unique)):
        if len({joined.first(places[unique[one]]) for one in bucket}) > 1:
            _join_within(joined, [(places[unique[one]], unique[one]) for one in bucket])


def _join_within(joined: Joined, bucket: Sequence[tuple[int, str]]) -> None:
    """Join the near-duplicates of a bucket, each text with its place."""
    for one, other in pairs_within(range(len(bucket))):
        (i, text), (j, like) = bucket[one], bucket[other]
        if joined.first(i) != joined.first(j) and resemblance(pieces(text), pieces(like)) >= ALIKE:
            joined.join(i, j)
