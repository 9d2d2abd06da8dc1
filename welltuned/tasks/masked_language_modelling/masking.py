"""Masking: which words of a text are hidden, and what stands in their place.

Of the tokens that are chosen, 80% become the mask, 10% another token, and 10% stay as they are, so
that a model cannot rely on what it sees (Devlin et al. 2019, arXiv 1810.04805). Words are chosen
whole, else their pieces give them away (Cui et al. 2019, arXiv 1906.08101).

What is drawn follows from a seed, an epoch and the tokens themselves: it is the same for whoever
asks, in whatever order, and another in every epoch (Liu et al. 2019, arXiv 1907.11692).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from welltuned.data.tokens.encoding import IGNORED
from welltuned.data.tokens.word_alignment import NONE

_MASKED, _REPLACED = 0.8, 0.1
"""The shares of chosen tokens that become the mask, and another token."""


class Draw(NamedTuple):
    """From what, beside a text's own tokens, its masks are drawn."""

    seed: int
    epoch: int
    """Counted from 1; 0 are the masks that a model is measured on."""


HELD = Draw(0, 0)
"""The masks that a model is measured on: always the same."""


@dataclass(frozen=True)
class Masking:
    """How texts of one tokenizer are masked."""

    probability: float
    """The share of a text's tokens that are chosen."""
    mask_id: int
    ordinary_ids: np.ndarray
    """The ids of tokens that may stand in a chosen one's place (V)."""

    def masked(
        self, ids_T: np.ndarray, words_T: np.ndarray, draw: Draw
    ) -> tuple[np.ndarray, np.ndarray]:
        """A text's tokens as the model reads them (T), and what was chosen of them (T).

        `words_T` are the numbers of the tokens' words, `NONE` where no loss may be taken.
        """
        random = _random(ids_T, draw)
        chosen_T = chosen_words(words_T, self.probability, random)
        labels_T = np.where(chosen_T, ids_T, IGNORED)
        fates_T, others_T = random.random(len(ids_T)), self._others(len(ids_T), random)
        seen_T = np.where(chosen_T & (fates_T < _MASKED), self.mask_id, ids_T)
        replaced_T = chosen_T & (fates_T >= _MASKED) & (fates_T < _MASKED + _REPLACED)
        return np.where(replaced_T, others_T, seen_T), labels_T

    def _others(self, number: int, random: np.random.Generator) -> np.ndarray:
        return self.ordinary_ids[random.integers(0, len(self.ordinary_ids), number)]


def _random(ids_T: np.ndarray, draw: Draw) -> np.random.Generator:
    digest = hashlib.blake2b(ids_T.astype("<i4").tobytes(), digest_size=8).digest()
    return np.random.default_rng([*draw, int.from_bytes(digest, "little")])


def chosen_words(
    words_T: np.ndarray, probability: float, random: np.random.Generator
) -> np.ndarray:
    """Whether each token belongs to one of the words that were drawn (T).

    As many as have the share of the tokens that is asked for, and no more; one at least, the
    shortest where all are longer than that.
    """
    words_W, sizes_W = np.unique(words_T[words_T != NONE], return_counts=True)
    if not len(words_W):
        return np.zeros(len(words_T), dtype=bool)
    left = max(1, round(probability * int(sizes_W.sum())))
    chosen = []
    for word in random.permutation(len(words_W)):
        if sizes_W[word] <= left:
            chosen.append(word)
            left -= int(sizes_W[word])
        if not left:
            break
    return np.isin(words_T, words_W[chosen or [int(sizes_W.argmin())]])
