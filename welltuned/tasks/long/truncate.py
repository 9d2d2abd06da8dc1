"""Truncation: of a long text the beginning is read, or one end and the other."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from welltuned.data.tokens.windows import ends
from welltuned.tasks.long.base import HEAD, LongTexts


class Truncate(LongTexts):
    """Long texts lose their end; of two texts the longer one is cut first."""

    reads_plainly: ClassVar[bool] = True

    type: Literal["truncate"] = "truncate"

    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        return [ends(parts_T, max_length, head=1.0)]


class HeadTail(LongTexts):
    """Long texts lose their middle: a quarter of what is read is the beginning, the rest the end
    (Sun et al. 2019, arXiv 1905.05583)."""

    type: Literal["head_tail"] = "head_tail"

    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        return [ends(parts_T, max_length, HEAD)]


TRUNCATE = Truncate()
