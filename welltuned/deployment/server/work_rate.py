"""How much work a batch may hold, so that it takes the time that it may take.

Work is counted in tokens, by a guess that needs no tokenizer: what a batch may hold is learned from
how long the batches before it took, in the same unit, so that the guess's scale is of no account.
Which texts are of like length is counted, for a guess would pad a sixth more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BYTES = 3.5
"""Of a token: four or five letters of English with the space between words, or one character of
Chinese."""
_ADDED = 3
"""Tokens around a text, and what it costs besides them."""
_MOST = 512
"""Tokens of one input: what is longer is cut by most models."""
_MOST_CHARACTERS = 8 * _MOST
"""Of a text whose tokens are counted: more than so many tokens have."""
_FORGETS = 0.8
"""Of an earlier rate is kept when a full batch is slower."""


def work_of(given: object) -> int:
    """The tokens of an input, roughly."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(given))
    return min(_MOST, _ADDED + int(size / _BYTES))


def lengths_of(inputs: Sequence[object], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens of each input; guessed where the tokenizer is too slow to read twice."""
    if not tokenizer.is_fast:
        return [work_of(given) for given in inputs]
    texts = [list(_texts(given)) for given in inputs]
    flat = [_readable(text) for some in texts for text in some]
    if not flat:
        return [0] * len(inputs)
    ids = tokenizer(flat, add_special_tokens=False, verbose=False)["input_ids"]
    numbers = iter([len(one) for one in ids])
    return [min(_MOST, sum(islice(numbers, len(some)))) for some in texts]


def _texts(given: object) -> Iterator[str]:
    """All that are in an input, however deep, in any order."""
    waiting = [given]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, (list, tuple)):
            waiting += one


def _readable(text: str) -> str:
    """What a tokenizer takes of it: no half characters, and no more than a model reads."""
    return text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()


class WorkRate:
    """Tokens a second, learned; and from it what a batch of so many `seconds` may hold."""

    def __init__(self, seconds: float, least: int = 512, most: int = 1 << 15) -> None:
        self._seconds = seconds
        self._least, self._most = least, most
        self._rate, self._is_known = 0.0, False

    @property
    def budget(self) -> int:
        """The tokens that the next batch may hold."""
        return max(self._least, min(self._most, int(self._rate * self._seconds)))

    def learn(self, work: int, seconds: float) -> None:
        """From a batch: what is faster counts at once; what is slower, where it was half full.

        A small batch is slow for its smallness, which says nothing of a large one.
        """
        rate = work / max(seconds, 1e-6)
        self._is_known = self._is_known or 2 * work >= self._least
        if rate > self._rate:
            self._rate = rate
        elif 2 * work >= self.budget:
            self._rate = _FORGETS * self._rate + (1 - _FORGETS) * rate

    def seconds_for(self, work: int) -> float:
        """How long so much work takes; 0 before a batch was large enough to tell."""
        return work / self._rate if self._is_known else 0.0
