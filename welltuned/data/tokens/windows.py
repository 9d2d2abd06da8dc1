"""Windows of long texts: which tokens each of them holds, and which rows are those of a text.

A text, or a pair of texts, that is tokenised whole has `parts_T`: for each token the text that it
belongs to, 0 or 1, and `FIXED` for what the tokenizer puts around texts. What is read of it is a
list of rows, each an ascending array of places in it. So whoever cuts texts needs to know neither
tokenizers nor tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from welltuned.data.tokens import ragged

FIXED = -1
"""What a token belongs to that stands around texts, and is part of every row."""
NO_ROW = -1
"""In a table of rows: there is no such row."""
WINDOWS = "windows"
"""The name of that table in a batch."""


# --- Which tokens are read ------------------------------------------------------------


def ends(parts_T: np.ndarray, max_length: int, head: float) -> np.ndarray:
    """The beginning and the end of each text, as much as fits: `head` is the beginning's share.

    Where two texts do not fit, the longer one is cut first, as tokenizers do it.
    """
    places = [np.flatnonzero(parts_T == part) for part in (0, 1)]
    room = max_length - int((parts_T == FIXED).sum())
    rooms = _shared(len(places[0]), len(places[1]), max(room, 0))
    kept = [_ends_of(one, size, head) for one, size in zip(places, rooms, strict=True)]
    return np.sort(np.concatenate([np.flatnonzero(parts_T == FIXED), *kept]))


def cut_windows(
    parts_T: np.ndarray, max_length: int, stride: int | None, head: float
) -> list[np.ndarray]:
    """Windows of `max_length` tokens that begin `stride` tokens apart; the last ends with the text.

    Each has what stands around texts. Of two texts the longer one is read in windows, and the other
    along with each of them: whole up to half of the room, else its `ends`. Where that leaves less
    room than a stride, windows lie closer, so that no token is left out between them. Without a
    stride, they overlap by a quarter.
    """
    if len(parts_T) <= max_length:
        return [np.arange(len(parts_T))]
    longer = int((parts_T == 1).sum() > (parts_T == 0).sum())
    moving = np.flatnonzero(parts_T == longer)
    fixed = np.flatnonzero(parts_T == FIXED)
    room = max(max_length - len(fixed), 1)
    beside = _ends_of(np.flatnonzero(parts_T == 1 - longer), room // 2, head)
    room -= len(beside)
    step = min(stride or room - room // 4, room)
    last = max(len(moving) - room, 0)
    starts = [*range(0, last, step), last]
    along = np.concatenate([fixed, beside])
    return [np.sort(np.concatenate([along, moving[at : at + room]])) for at in starts]


def is_short_of(rows: Sequence[np.ndarray], tokens: int) -> bool:
    """Whether rows of a text leave out some of its tokens."""
    seen = rows[0] if len(rows) == 1 else np.unique(np.concatenate(rows))
    return len(seen) < tokens


def owners(rows: Sequence[np.ndarray], parts_T: np.ndarray) -> np.ndarray:
    """The row in which each token has most context (T): the nearer of its two sides is furthest.

    That is the row whose middle is nearest. Of two that are equally near, the first.
    """
    inner = [row[parts_T[row] != FIXED] for row in rows]
    middles_R = np.array([(row[0] + row[-1]) / 2 if len(row) else 0.0 for row in inner])
    between = (middles_R[:-1] + middles_R[1:]) / 2
    return np.searchsorted(between, np.arange(len(parts_T)), side="left")


def _shared(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts fits into a room when the longer one is cut first."""
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def _ends_of(places: np.ndarray, room: int, head: float) -> np.ndarray:
    if len(places) <= room:
        return places
    first = min(round(head * room), room)
    return np.concatenate([places[:first], places[len(places) - (room - first) :]])


# --- Which rows are those of a text ---------------------------------------------------


@dataclass(frozen=True)
class WindowIndex:
    """The rows of N texts, of which each is read in one or more windows that follow each other."""

    starts: np.ndarray
    """Where each text's rows start (N + 1)."""
    per_step: int | None = None
    """The most windows of a text that a training step reads; all where it is not given."""
    keeps_ends: bool = False
    """Whether those are the first window, the last and others, rather than any."""
    seed: tuple[int, ...] | None = None
    """What a sample is drawn from; None where all rows are read."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def numbers(self) -> np.ndarray:
        """All windows of each text (N)."""
        return np.diff(self.starts)

    @property
    def sizes(self) -> np.ndarray:
        """The windows of each text that are read (N)."""
        if self.per_step is None or self.seed is None:
            return self.numbers
        return np.minimum(self.numbers, self.per_step)

    def sampled(self, *seed: int) -> WindowIndex:
        """As a training step reads it: `per_step` rows of each text, the same for the same seed."""
        return self if self.per_step is None else replace(self, seed=seed)

    def rows_of(self, texts: Sequence[int] | np.ndarray) -> np.ndarray:
        """The rows of some texts, those of the first text first."""
        if self.per_step is None or self.seed is None:
            return ragged.take(self.starts, texts)[0]
        return np.concatenate([self._sample(int(text)) for text in texts])

    def _sample(self, text: int) -> np.ndarray:
        start, stop = self.starts[text : text + 2]
        rows = np.arange(start, stop)
        assert self.per_step is not None and self.seed is not None
        if len(rows) <= self.per_step:
            return rows
        random = np.random.default_rng((*self.seed, text))
        kept = rows[[0, -1]] if self.keeps_ends else rows[:0]
        others = rows[1:-1] if self.keeps_ends else rows
        drawn = random.choice(others, self.per_step - len(kept), replace=False)
        return np.sort(np.concatenate([kept, drawn]))

    def positions(self, lengths_R: np.ndarray) -> np.ndarray:
        """Tokens of each text (N) from those of the rows; each row counts as its text's longest."""
        return self.sizes * np.maximum.reduceat(lengths_R, self.starts[:-1])

    def any(self, flags_R: np.ndarray) -> np.ndarray:
        """Which texts have a row with a flag (N)."""
        return np.logical_or.reduceat(flags_R, self.starts[:-1])

    def means(self, values_RH: np.ndarray) -> np.ndarray:
        """The mean of each text's rows (N, …)."""
        sums_NH = np.add.reduceat(values_RH, self.starts[:-1], axis=0)
        return sums_NH / self.numbers.reshape(-1, *(1,) * (values_RH.ndim - 1))

    def take(self, texts: Sequence[int] | np.ndarray) -> WindowIndex:
        """Those of some texts, once their rows were taken, all of them, in that order."""
        return replace(self, starts=ragged.take(self.starts, texts)[1])

    def join(self, other: WindowIndex) -> WindowIndex:
        """These texts and then those."""
        return replace(
            self, starts=np.concatenate([self.starts, self.starts[-1] + other.starts[1:]])
        )


def window_table_of(sizes_B: np.ndarray) -> np.ndarray:
    """Which rows of a batch are each text's (B, W), where its texts have these sizes."""
    places_W = np.arange(int(sizes_B.max(initial=1)))
    first_B1 = ragged.offsets_of(sizes_B)[:-1, None]
    return np.where(places_W < sizes_B[:, None], first_B1 + places_W, NO_ROW)
