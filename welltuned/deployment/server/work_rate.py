"""How much work a batch may hold, so that it takes the time that it may take.

Work is counted in tokens, by a guess that needs no tokenizer: what a batch may hold is learned from
how long the batches before it took, in the same unit, so that the guess's scale is of no account.
"""

from __future__ import annotations

from collections.abc import Mapping

_BYTES = 3.5
"""Of a token: four or five letters of English with the space between words, or one character of
Chinese."""
_ADDED = 3
"""Tokens around a text, and what it costs besides them."""
_MOST = 512
"""Tokens of one input: what is longer is cut by most models."""
_FORGETS = 0.8
"""Of an earlier rate is kept when a full batch is slower."""


def work_of(given: object) -> int:
    """The tokens of an input, roughly."""
    return min(_MOST, _ADDED + int(_size(given) / _BYTES))


def _size(given: object) -> int:
    """Bytes of all the texts in it."""
    if isinstance(given, str):
        return len(given.encode("utf-8", "surrogatepass"))
    if isinstance(given, Mapping):
        return sum(map(_size, given.values()))
    return sum(map(_size, given)) if isinstance(given, (list, tuple)) else 1


class WorkRate:
    """Tokens a second, learned; and from it what a batch of so many `seconds` may hold."""

    def __init__(self, seconds: float, least: int = 512, most: int = 1 << 15) -> None:
        self._seconds = seconds
        self._least, self._most = least, most
        self._rate = 0.0

    @property
    def budget(self) -> int:
        """The tokens that the next batch may hold."""
        return max(self._least, min(self._most, int(self._rate * self._seconds)))

    def learn(self, work: int, seconds: float) -> None:
        """From a batch: what is faster counts at once; what is slower, where it was half full.

        A small batch is slow for its smallness, which says nothing of a large one.
        """
        rate = work / max(seconds, 1e-6)
        if rate > self._rate:
            self._rate = rate
        elif 2 * work >= self.budget:
            self._rate = _FORGETS * self._rate + (1 - _FORGETS) * rate

    def seconds_for(self, work: int) -> float:
        """How long so much work takes; 0 where nothing has been learned."""
        return work / self._rate if self._rate else 0.0
