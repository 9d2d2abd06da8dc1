"""Truncation, and reading both ends: one row, of what tokenizers would keep or of both ends."""

from __future__ import annotations

import numpy as np

from welltuned.tasks.long import HeadTail, Truncate

PARTS = np.array([-1, *[0] * 20, -1, *[1] * 3, -1])


def test_truncation_keeps_the_beginning() -> None:
    (kept,) = Truncate().cut(PARTS, 12)
    assert kept.tolist() == [0, 1, 2, 3, 4, 5, 6, 21, 22, 23, 24, 25]


def test_both_ends_are_kept() -> None:
    (kept,) = HeadTail().cut(PARTS, 14)
    assert kept.tolist() == [0, 1, 2, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]
    assert not HeadTail.reads_plainly and not HeadTail.in_windows
