"""Data larger than memory: texts and tokens in files that nobody else sees, read where needed.

The files have no name, so they are gone when nobody holds them any more, however a process ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from typing import IO, Any, TypeVar, overload

import numpy as np

from welltuned.runs.user_cache import cache_folder

T = TypeVar("T")

LARGE = 2**28
"""Bytes from which texts of a file, or tokens of a split, are kept on disk: 256 MiB."""
_AT_ONCE = 1000
"""Texts that are read together where one after the other is asked for."""
_NEAR = 4
"""How many texts may be read for each that is wanted, rather than one by one."""
_BUFFER = 2**20


def nameless_file() -> IO[bytes]:
    """An empty file beside the user's other caches, for folders of temporary files may be memory.

    Raises `OSError`.
    """
    folder = cache_folder() / "spilled"
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)


def pieces_of(items: Sequence[T]) -> Iterator[list[T]]:
    """The items a thousand at a time, so that a column on disk need not be in memory."""
    each = iter(items)
    while part := list(islice(each, _AT_ONCE)):
        yield part


# --- Texts ---------------------------------------------------------------------------------


class TextFile:
    """Texts end to end in UTF-8, to be added to and then read from anywhere."""

    def __init__(self) -> None:
        self._file = nameless_file()
        weakref.finalize(self, self._file.close)
        self._ends = array("q", [0])
        self.holds_half_characters = False
        """Whether some text has a surrogate by itself, which UTF-8 has no bytes for."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, texts: Sequence[str]) -> None:
        """More texts, after those that are there."""
        try:
            raws = [text.encode() for text in texts]
        except UnicodeEncodeError:
            raws = [text.encode("utf-8", "surrogatepass") for text in texts]
            self.holds_half_characters = True
        self._file.write(b"".join(raws))
        ends = accumulate(map(len, raws), initial=self._ends.pop())
        self._ends.extend(ends)

    def done(self) -> None:
        """Everything was added; reading may begin."""
        self._file.flush()

    def read(self, start: int, stop: int) -> list[str]:
        """The texts from `start` to before `stop`."""
        first = self._ends[start]
        raw = self._bytes(first, self._ends[stop] - first)
        bounds = [end - first for end in self._ends[start : stop + 1]]
        if raw.isascii():  # then a character is a byte
            text = raw.decode()
            return [text[begin:end] for begin, end in pairwise(bounds)]
        return [raw[begin:end].decode("utf-8", "surrogatepass") for begin, end in pairwise(bounds)]

    def _bytes(self, place: int, number: int) -> bytes:
        """Without a place of its own that processes after a fork, or threads, would share."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), number, place)
        with self._lock:
            self._file.seek(place)
            return self._file.read(number)


class TextColumn(Sequence[Any]):
    """A column of texts on disk, with the interface of a tuple.

    The few cells that are no text, such as a missing one, are in memory.
    """

    def __init__(
        self, file: TextFile, others: Mapping[int, object], rows: np.ndarray | None = None
    ) -> None:
        self._file = file
        self._others = others
        self._rows = rows
        """The places of its cells in the file (N); None for all of them."""

    def __len__(self) -> int:
        return len(self._file) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            rows = np.arange(len(self))[index] if self._rows is None else self._rows[index]
            starts = range(0, len(rows), _AT_ONCE)
            return [cell for at in starts for cell in self._cells(rows[at : at + _AT_ONCE])]
        row = range(len(self))[index] if self._rows is None else int(self._rows[index])
        return self._others[row] if row in self._others else self._file.read(row, row + 1)[0]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(self)))
            yield from self._cells(rows if self._rows is None else self._rows[rows])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_surely_whole(self) -> bool:
        """Whether all cells are texts of whole characters; it is not looked at each."""
        return not self._others and not self._file.holds_half_characters

    def take(self, indices: Sequence[int] | np.ndarray) -> TextColumn:
        """The cells at `indices`, in that order."""
        rows = np.asarray(indices, dtype=np.int64)
        taken = rows if self._rows is None else self._rows[rows]
        return TextColumn(self._file, self._others, taken)

    def with_others(self, change: Callable[[object], object]) -> TextColumn:
        """The same texts, and what `change` makes of the cells that are none."""
        others = {row: change(cell) for row, cell in self._others.items()}
        return TextColumn(self._file, others, self._rows)

    def others(self) -> Iterator[tuple[int, object]]:
        """Its cells that are no texts, each with its place."""
        if not self._others:
            return
        rows = range(len(self)) if self._rows is None else self._rows.tolist()
        yield from ((at, self._others[row]) for at, row in enumerate(rows) if row in self._others)

    def _cells(self, rows: np.ndarray) -> list[Any]:
        """Some cells by their places in the file; those that stand near each other at once."""
        low, high = int(rows.min()), int(rows.max())
        if high - low < _NEAR * len(rows):
            texts = self._file.read(low, high + 1)
            cells = [texts[row] for row in (rows - low).tolist()]
        else:
            cells = [self._file.read(row, row + 1)[0] for row in rows.tolist()]
        if self._others:
            others = self._others
            return [others.get(row, cell) for row, cell in zip(rows.tolist(), cells, strict=True)]
        return cells


def cells_but_texts(cells: Sequence[object]) -> Iterator[tuple[int, object]]:
    """The cells of a column that are no texts, each with its place; texts on disk are not read."""
    if isinstance(cells, TextColumn):
        return cells.others()
    return ((at, cell) for at, cell in enumerate(cells) if not isinstance(cell, str))


def take_cells(cells: Sequence[T], indices: Sequence[int]) -> Sequence[T]:
    """Some cells of a column, in memory or on disk as the column is."""
    if isinstance(cells, TextColumn):
        return cells.take(indices)
    return [cells[i] for i in indices]


# --- Numbers -------------------------------------------------------------------------------


class Growing:
    """Numbers of one type that come part by part, and become one flat array.

    It is in memory while it has less than `LARGE` bytes, and else a file that is mapped.
    """

    def __init__(self, dtype: type[np.generic]) -> None:
        self._dtype = np.dtype(dtype)
        self._parts: list[np.ndarray] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def add(self, rows: Sequence[Sequence[int] | np.ndarray]) -> None:
        """These rows of numbers, end to end."""
        parts = [np.asarray(row, dtype=self._dtype) for row in rows]
        joined = np.concatenate(parts) if parts else np.zeros(0, self._dtype)
        self._bytes += joined.nbytes
        self._parts.append(joined)
        if self._bytes >= LARGE:
            self._spill()

    def array(self) -> np.ndarray:
        """All numbers; nothing is added afterwards."""
        if self._file is None:
            return np.concatenate(self._parts) if self._parts else np.zeros(0, self._dtype)
        self._spill()
        self._file.flush()
        if not self._bytes:
            return np.zeros(0, self._dtype)
        with self._file:  # what is mapped stays
            mapped = mmap.mmap(self._file.fileno(), self._bytes, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, dtype=self._dtype)

    def _spill(self) -> None:
        if self._file is None:
            self._file = nameless_file()
            weakref.finalize(self, self._file.close)
        for part in self._parts:
            self._file.write(part.data)
        self._parts = []
