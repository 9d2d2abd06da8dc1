"""Rows of unequal length in one flat array, against loops over rows."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.data.tokens import ragged

ROWS = [[5, 6, 7], [], [8], [9, 1, 2, 3]]
FLAT = np.concatenate([np.array(row, dtype=np.int64) for row in ROWS])
OFFSETS = ragged.offsets_of([len(row) for row in ROWS])


def test_rows_are_taken_in_the_order_asked() -> None:
    where, offsets = ragged.take(OFFSETS, [3, 0, 0, 1])
    assert FLAT[where].tolist() == ROWS[3] + ROWS[0] + ROWS[0]
    assert offsets.tolist() == [0, 4, 7, 10, 10]
    assert [part.tolist() for part in ragged.take(OFFSETS, [])] == [[], [0]]


@pytest.mark.parametrize("side", ["right", "left"])
def test_rows_are_padded_to_the_longest(side: str) -> None:
    real, where = ragged.grid(OFFSETS, [2, 1, 0], side=side)
    table = np.full(real.shape, -1)
    table[real] = FLAT[where]
    right = [[8, -1, -1], [-1, -1, -1], [5, 6, 7]]
    left = [[-1, -1, 8], [-1, -1, -1], [5, 6, 7]]
    assert table.tolist() == (right if side == "right" else left)


def test_rows_longer_than_a_width_lose_their_ends() -> None:
    real, where = ragged.grid(OFFSETS, [3, 2], width=2)
    assert FLAT[where].tolist() == [9, 1, 8] and real.tolist() == [[True, True], [True, False]]
