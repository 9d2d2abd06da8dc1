"""Row store: hidden states of rows of tokens, in memory, shared by all models of a process.

The same frozen blocks are met again: in the untouched model, in the trials of a sweep, in the
stages of a pipeline. Each finds what the others have kept.
"""

from __future__ import annotations

from collections import OrderedDict

import torch

from welltuned.runs import process_memory

_SHARE = 0.25
"""Of the memory that is free when the first state is kept."""
_UNKNOWN = 2**30
"""Bytes where the system does not say how much is free."""


class RowStore:
    """States (T, H) by the fingerprint of what computed them and the key of their row."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
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

    def keep(self, fingerprint: str, rows: dict[bytes, torch.Tensor]) -> bool:
        """Keep these states. False where there is no room, even without older frozen parts."""
        size = sum(states.numel() * states.element_size() for states in rows.values())
        held = self.rows(fingerprint)
        while self.held + size > self.limit and len(self._held) > 1:
            oldest, _ = self._held.popitem(last=False)
            self._bytes.pop(oldest, None)
        if self.held + size > self.limit:
            return False
        held.update(rows)
        self._bytes[fingerprint] = self._bytes.get(fingerprint, 0) + size
        return True

    def clear(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self._bytes.clear()


STORE = RowStore()
"""That of this process."""
