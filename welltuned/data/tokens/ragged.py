"""Rows of unequal length end to end in one flat array: taken and padded without a loop over rows.

`offsets` (N + 1) tell where each row starts in the flat array, and where the last one ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def offsets_of(lengths_N: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where rows of these lengths start, and where the last one ends (N + 1)."""
    return np.concatenate([[0], np.cumsum(lengths_N)]).astype(np.int64)


def take(offsets: np.ndarray, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the items of some rows stand in the flat array, and the offsets of these rows."""
    rows_B = np.asarray(rows, dtype=np.int64)
    lengths_B = offsets[rows_B + 1] - offsets[rows_B]
    taken = offsets_of(lengths_B)
    return np.arange(taken[-1]) + np.repeat(offsets[rows_B] - taken[:-1], lengths_B), taken


def grid(
    offsets: np.ndarray,
    rows: Sequence[int] | np.ndarray,
    width: int | None = None,
    side: str = "right",
) -> tuple[np.ndarray, np.ndarray]:
    """Some rows as a table, padded on one side and as wide as the longest, or `width`.

    Returns which cells hold an item (B, T), and where these items stand in the flat array, in
    the order of cells. Of rows longer than `width` the first items are taken.
    """
    rows_B = np.asarray(rows, dtype=np.int64)
    starts_B = offsets[rows_B]
    lengths_B = offsets[rows_B + 1] - starts_B
    width = int(lengths_B.max()) if width is None else width
    first_B = np.zeros_like(lengths_B) if side == "right" else width - lengths_B
    places_BT = np.arange(width) - first_B[:, None]
    real_BT = (places_BT >= 0) & (places_BT < lengths_B[:, None])
    return real_BT, (starts_B[:, None] + places_BT)[real_BT]
