"""Row store: hidden states of rows of tokens, shared by all models of a process and by later ones.

The same frozen blocks are met again: in the untouched model, in the cells of a comparison, in the
trials of a sweep, in the stages of a pipeline, in tomorrow's run. Each finds what others have kept,
in memory or else in a folder.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection

import torch

from welltuned.models.frozen_cache.row_folder import RowFolder
from welltuned.runs import process_memory
from welltuned.runs.user_cache import cache_folder

_SHARE = 0.25
"""Of the memory that is free when the first state is kept."""
_UNKNOWN = 2**30
"""Bytes where the system does not say how much is free."""


class RowStore:
    """States (T, H) by the fingerprint of what computed them and the key of their row."""

    def __init__(
        self, limit: int | None = None, folder: Callable[[], RowFolder] | None = None
    ) -> None:
        self._limit = limit
        self._open = folder
        self._folder: RowFolder | None = None
        self._held: OrderedDict[str, dict[bytes, torch.Tensor]] = OrderedDict()
        self._bytes: dict[str, int] = {}

    @property
    def limit(self) -> int:
        """Bytes that may be held."""
        if self._limit is None:
            free = process_memory.available()
            self._limit = _UNKNOWN if free is None else int(_SHARE * free)
        return self._limit

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return sum(self._bytes.values())

    def rows(self, fingerprint: str) -> dict[bytes, torch.Tensor]:
        """What is kept of one frozen part. To be read; `keep` adds to it."""
        found = self._held.setdefault(fingerprint, {})
        self._held.move_to_end(fingerprint)
        return found

    def find(self, fingerprint: str, keys: Collection[bytes]) -> dict[bytes, torch.Tensor]:
        """Those of the rows that are kept anywhere. Raises `OSError` as a `RowFolder` does."""
        held = self.rows(fingerprint)
        found = {key: held[key] for key in keys if key in held}
        if len(found) < len(set(keys)) and (folder := self.folder):
            more = folder.find(fingerprint, [key for key in keys if key not in found])
            self._hold(fingerprint, more)
            found |= more
        return found

    def keep(self, fingerprint: str, rows: dict[bytes, torch.Tensor]) -> None:
        """Keep these states. Raises `OSError` as a `RowFolder` does, and has them in memory."""
        self._hold(fingerprint, rows)
        if folder := self.folder:
            folder.keep(fingerprint, rows)

    @property
    def folder(self) -> RowFolder | None:
        """Where states are kept on disk."""
        if self._folder is None and self._open is not None:
            self._folder = self._open()
        return self._folder

    def leave_folder(self) -> None:
        """Keep states in memory alone from now on."""
        self._folder = self._open = None

    def _hold(self, fingerprint: str, rows: dict[bytes, torch.Tensor]) -> None:
        """Hold rows in memory, where there is room, if need be without older frozen parts."""
        size = sum(states.numel() * states.element_size() for states in rows.values())
        held = self.rows(fingerprint)
        while self.held + size > self.limit and len(self._held) > 1:
            oldest, _ = self._held.popitem(last=False)
            self._bytes.pop(oldest, None)
        if self.held + size <= self.limit:
            held.update(rows)
            self._bytes[fingerprint] = self._bytes.get(fingerprint, 0) + size

    def clear(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self._bytes.clear()


STORE = RowStore(folder=lambda: RowFolder(cache_folder() / "frozen"))
"""That of this process, and of all that share its user's cache."""
