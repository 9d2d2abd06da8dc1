"""MinHash: signatures by which like texts are found without comparing all pairs.

Texts are sets of pieces of four characters, compared by what share of their pieces both have
(resemblance: Broder 1997). Of each text the least hash of its pieces is kept for each of a hundred
hash functions: two texts agree in a function as often as they have pieces in common. Signatures are
cut into bands, and texts are compared that have a band in common (locality-sensitive hashing:
Indyk & Motwani 1998): 99.9% of those that share 0.8 of their pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

PIECE = 4
"""Characters of a piece."""
_BANDS, _ROWS = 20, 5
_NEIGHBOURS = 100
"""With so many others of its bucket a text is compared: larger buckets are of forms that are filled
in, and all pairs of them would be too many."""
_AT_ONCE = 2**20
"""Characters that are hashed together."""
_random = np.random.default_rng(0)
_WEIGHTS = _random.integers(0, 2**63, PIECE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
"""Of the hash of a piece, a sum of its characters times these (Lemire & Kaser 2014)."""
_FACTORS = _random.integers(0, 2**31, _BANDS * _ROWS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_TERMS = _random.integers(0, 2**32, _BANDS * _ROWS, dtype=np.uint32)
"""Of the hash functions, linear permutations of hashes (Bohman, Cooper & Frieze 2000)."""
_MIXERS = _random.integers(0, 2**63, _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
"""Of the hash of a band."""


def pieces(text: str) -> np.ndarray:
    """The hashes of all pieces of a text (P, uint32, ascending, each once); of a shorter text, that
    of the whole."""
    return np.unique(_hashes([text])[0])


def resemblance(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the pieces of two texts that both have (Jaccard)."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(len(one) + len(other) - shared, 1)


def signatures(texts: Sequence[str]) -> np.ndarray:
    """The least hash of each text's pieces by each of H hash functions (H, N)."""
    signatures_HN = np.empty((len(_FACTORS), len(texts)), dtype=np.uint32)
    for start, some in _chunks(texts):
        hashes_P, starts_N = _hashes(some)
        for row_N, factor, term in zip(signatures_HN, _FACTORS, _TERMS, strict=True):
            row_N[start : start + len(some)] = np.minimum.reduceat(
                hashes_P * factor + term, starts_N
            )
    return signatures_HN


def buckets(signatures_HN: np.ndarray) -> Iterator[list[int]]:
    """Texts that have a band of their signatures in common, in ascending order; of two or more."""
    for band_RN in np.split(signatures_HN, _BANDS):
        keys_N = (band_RN.astype(np.uint64) * _MIXERS[:, None]).sum(axis=0)
        order_N = np.argsort(keys_N, kind="stable")
        ends = np.flatnonzero(np.diff(keys_N[order_N])) + 1
        starts, stops = np.r_[0, ends], np.r_[ends, len(order_N)]
        for place in np.flatnonzero(stops - starts > 1):
            yield order_N[starts[place] : stops[place]].tolist()


def pairs_within(bucket: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each text of a bucket with those next to it, the earlier one first."""
    for place, one in enumerate(bucket):
        for other in bucket[place + 1 : place + 1 + _NEIGHBOURS]:
            yield one, other


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Texts that are hashed together, with the place of the first."""
    start, size, some = 0, 0, list[str]()
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            yield start, some
            start, size, some = start + len(some), 0, []
    if some:
        yield start, some


def _hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the pieces of texts, end to end (P, uint32), and where each text's begin (N)."""
    filled = [text.ljust(PIECE, "\0") for text in texts]
    codes = np.frombuffer("".join(filled).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    sums = np.zeros(len(codes) - PIECE + 1, dtype=np.uint64)
    for place, weight in enumerate(_WEIGHTS):
        sums += codes[place : place + len(sums)] * weight
    lengths_N = np.array([len(text) for text in filled])
    first_N = np.cumsum(lengths_N) - lengths_N
    across = (first_N[1:, None] - np.arange(1, PIECE)).ravel()  # from one text into the next
    within = np.ones(len(sums), dtype=bool)
    within[across] = False
    counts_N = lengths_N - PIECE + 1
    hashes = (sums >> np.uint64(32)).astype(np.uint32)
    return hashes[within], np.cumsum(counts_N) - counts_N
