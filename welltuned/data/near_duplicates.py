"""Near-duplicates that bear different labels: one of the two labels is wrong, or both are doubtful.

Texts are sets of pieces of four characters, compared by what share of their pieces both have
(resemblance: Broder 1997). Candidates come from MinHash signatures in bands (locality-sensitive
hashing: Indyk & Motwani 1998), which meet with 99.9% where texts share 0.8 of their pieces; the
share of every candidate is then counted in full.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

ALIKE = 0.8
"""The share of pieces from which texts are near-duplicates."""
_PIECE = 4
"""Characters of a piece."""
_BANDS, _ROWS = 20, 5
_NEIGHBOURS = 100
"""With so many others of its bucket a text is compared: larger buckets are of forms that are filled
in, and all pairs of them would be too many."""
_random = np.random.default_rng(0)
_FACTORS = _random.integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_TERMS = _random.integers(0, 2**63, _BANDS * _ROWS, dtype=np.uint64)
"""Of hash functions by multiplying and shifting (Dietzfelbinger et al. 1997)."""


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
    pieces = [_pieces(text) for text in unique]
    for one, other in _candidates(pieces):
        mine, theirs = firsts[unique[one]], firsts[unique[other]]
        if len(mine.keys() | theirs.keys()) > 1:
            similarity = resemblance(pieces[one], pieces[other])
            if similarity >= ALIKE:
                found.append(_pair(mine, theirs, similarity))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.one, pair.other))


def resemblance(one: set[int], other: set[int]) -> float:
    """The share of the pieces of two texts that both have (Jaccard)."""
    return len(one & other) / max(len(one | other), 1)


def _pieces(text: str) -> set[int]:
    """Hashes of all runs of characters; of a shorter text, of the whole."""
    ends = range(max(len(text) - _PIECE, 0) + 1)
    return {crc32(text[i : i + _PIECE].encode("utf-8", "surrogatepass")) for i in ends}


def _candidates(pieces: Sequence[set[int]]) -> Iterator[tuple[int, int]]:
    """Pairs of texts some band of whose signatures is equal, each once, the earlier one first."""
    signatures = [_signature(one) for one in pieces]
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for i, signature in enumerate(signatures):
            buckets[signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(i)
        for members in buckets.values():
            for place, one in enumerate(members):
                for other in members[place + 1 : place + 1 + _NEIGHBOURS]:
                    if (one, other) not in seen:
                        seen.add((one, other))
                        yield one, other


def _signature(pieces: set[int]) -> np.ndarray:
    """The least hash of a text's pieces by each hash function (MinHash)."""
    numbers_S1 = np.fromiter(pieces, dtype=np.uint64, count=len(pieces))[:, None]
    return np.asarray(((numbers_S1 * _FACTORS + _TERMS) >> np.uint64(32)).min(axis=0))


def _pair(mine: dict[str, int], theirs: dict[str, int], similarity: float) -> NearDuplicate:
    """The first two of them that bear different labels."""
    places = [(i, j) for a, i in mine.items() for b, j in theirs.items() if a != b]
    one, other = sorted(min(places))
    return NearDuplicate(one, other, similarity)
