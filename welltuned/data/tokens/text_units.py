"""Units of text, by its script: words, and single characters where nobody writes spaces.

Chinese, Japanese, Thai and their like write no spaces between words, so a run of letters there is a
whole clause; each character stands for itself. Signs stand for themselves everywhere.
"""

from __future__ import annotations

import re

import numpy as np

from welltuned.data.tokens.word_alignment import NONE

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Japanese syllables
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
UNIT = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")
"""A character of a script without spaces, a word of any other, or a sign."""
_CHARACTER = re.compile(rf"[{_UNSPACED}]")


def is_unspaced(unit: str) -> bool:
    """Whether it is a character of a script that puts no spaces between words."""
    return _CHARACTER.fullmatch(unit) is not None


def numbered_units(text: str) -> np.ndarray:
    """The number of each character's unit (C), counted up from 0; white space between units too."""
    begins_C = np.zeros(len(text) + 1, dtype=np.int64)
    for found in UNIT.finditer(text):
        begins_C[[found.start(), found.end()]] = 1
    begins_C[:1] = 0
    return np.cumsum(begins_C)[: len(text)]


def units_of_tokens(text: str, offsets_T2: np.ndarray, special_T: np.ndarray) -> np.ndarray:
    """The number of each token's unit (T); `NONE` for special tokens.

    `offsets_T2` are each token's characters in the text, from one to another that it leaves out.
    Units that share a token are one: no part of it can be hidden while the rest is seen.
    """
    units_C = numbered_units(text)
    words_T = np.full(len(special_T), NONE, dtype=np.int32)
    real = np.flatnonzero(~special_T)
    if not len(real) or not len(units_C):
        return words_T
    last = len(units_C) - 1
    firsts_M = units_C[offsets_T2[real, 0].clip(max=last)]
    lasts_M = units_C[(offsets_T2[real, 1] - 1).clip(min=offsets_T2[real, 0]).clip(max=last)]
    reached_M = np.maximum.accumulate(lasts_M)
    begins_M = np.concatenate([[False], firsts_M[1:] > reached_M[:-1]])
    words_T[real] = np.cumsum(begins_M)
    return words_T
