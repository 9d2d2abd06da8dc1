"""Long sentences in rows: each word is read in the row in which it has most context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from welltuned.data.tokens.windows import FIXED, is_short_of, owners
from welltuned.data.tokens.word_alignment import NONE
from welltuned.tasks.long import LongTexts


@dataclass(frozen=True)
class CutWords:
    """One sentence of T tokens as the rows that are read of it."""

    rows: list[np.ndarray]
    """For each row the places of its tokens in the sentence, ascending."""
    owner_T: np.ndarray
    """The row in which each token has most context."""

    @property
    def loses(self) -> bool:
        """Whether some tokens are in no row."""
        return is_short_of(self.rows, len(self.owner_T))

    def tracks(self, track_T: Sequence[int] | np.ndarray, fill: int | None) -> list[np.ndarray]:
        """What a row has of each token; `fill` where another row has most context, if given."""
        whole_T = np.asarray(track_T)
        if fill is None:
            return [whole_T[places] for places in self.rows]
        return [
            np.where(self.owner_T[places] == row, whole_T[places], fill)
            for row, places in enumerate(self.rows)
        ]

    def placed(self, tokens_W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The row of each token and its place there (W each); `NONE` for a token in no row."""
        row_W = np.where(tokens_W == NONE, 0, self.owner_T[tokens_W])
        place_W = np.full(len(tokens_W), NONE)
        for row, places in enumerate(self.rows):
            here = np.flatnonzero((row_W == row) & (tokens_W != NONE))
            found = np.searchsorted(places, tokens_W[here]).clip(max=len(places) - 1)
            place_W[here] = np.where(places[found] == tokens_W[here], found, NONE)
        return row_W, place_W


def cut_words(long: LongTexts, words_T: np.ndarray, max_length: int) -> CutWords:
    """Cut a sentence, of which each token's word is known.

    What stands before its first word and after its last one is part of every row.
    """
    parts_T = np.full(len(words_T), FIXED)
    of_words = np.flatnonzero(words_T != NONE)
    if len(of_words):
        parts_T[of_words[0] : of_words[-1] + 1] = 0
    rows = long.cut(parts_T, max_length)
    return CutWords(rows, owners(rows, parts_T))
