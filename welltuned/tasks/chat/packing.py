"""Several short examples in one row, none of which sees another."""

from __future__ import annotations

import numpy as np

from welltuned.data.tokens.encoding import IGNORED, Encoded


def pack(encoded: Encoded, max_length: int) -> tuple[Encoded, list[list[int]]]:
    """Whole examples side by side in rows of at most `max_length`; and which each row holds.

    Positions start again with each example, and the first token of each is not learned,
    so none foretells the next. That one does not *see* the next is up to the model:
    transformers tells examples apart by positions that do not go up by one, and only
    when it is given `position_ids`, no `attention_mask` and `use_cache=False`. Padding
    needs nothing more: its positions are all 0, so each stands alone. Flash attention
    looks at positions in batches of a single row alone.
    """
    packs = _first_fit(encoded.lengths, max_length)
    flat = encoded.take([index for members in packs for index in members])
    starts = flat.offsets[:-1][flat.lengths > 0]
    labels = None if flat.labels is None else flat.labels.copy()
    if labels is not None:
        labels[starts] = IGNORED
    positions = np.arange(len(flat.ids)) - np.repeat(flat.offsets[:-1], flat.lengths)
    sizes = [int(encoded.lengths[members].sum()) for members in packs]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    cut = np.array([encoded.truncated[members].any() for members in packs], dtype=bool)
    rows = Encoded(flat.ids, offsets, cut, None, labels, positions.astype(np.int32))
    return rows, packs


def _first_fit(lengths: np.ndarray, room: int) -> list[list[int]]:
    """The longest first, each into the first row that has room for it."""
    left = np.full(len(lengths), room)
    packs: list[list[int]] = []
    for index in np.argsort(-lengths, kind="stable").tolist():
        row = int(np.argmax(left[: len(packs) + 1] >= lengths[index]))
        if left[row] < lengths[index]:
            row = len(packs)  # longer than a row: one of its own
        if row == len(packs):
            packs.append([])
        packs[row].append(index)
        left[row] -= lengths[index]
    return packs
