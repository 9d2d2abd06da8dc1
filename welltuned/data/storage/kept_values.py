"""Kept values: what was computed once, in a folder for other processes and later runs.

    FOLDER/  NAME.npz     a value, by a name that tells everything it follows from
             lock-7       held while a value is computed

Of several processes that ask for one value, the first computes it and the others wait. What is
damaged is computed anew; a folder that cannot be read or written costs that, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol, TypeVar, cast

from welltuned.data.storage.shared_file import UnstorableError, fingerprint, load_stored, store
from welltuned.runs.locks import holding
from welltuned.runs.user_cache import cache_folder

T = TypeVar("T")

LIMIT = 2**30
"""Bytes of all values together."""
_LOCKS = 16
"""Values share locks, for a lock that was removed would not be one."""
_HELD = ContextVar("_HELD", default=False)
"""Whether this thread holds a lock, for a value that another follows from."""


class Once(Protocol):
    """Gives the value that follows from something, which is made only where it is not known."""

    def __call__(self, follows_from: object, make: Callable[[], T]) -> T: ...


def each_time(follows_from: object, make: Callable[[], T]) -> T:
    """What `make` gives, for nothing is known."""
    return make()


class KeptValues:
    """Values of plain types, arrays and dataclasses, by what they follow from."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def once(self, follows_from: object, make: Callable[[], T]) -> T:
        """The value that follows from this, else what `make` gives, which is then kept."""
        try:
            name = fingerprint(follows_from)
        except UnstorableError:  # nothing to know it by
            return make()
        found = self._find(name)
        if found is None:
            with self._alone(name):
                found = self._find(name)
                if found is None:
                    found = make()
                    self._keep(name, found)
        return cast(T, found)

    def _find(self, name: str) -> object | None:
        file = self._folder / f"{name}.npz"
        try:
            found = load_stored(file)
            os.utime(file)
        except (OSError, ValueError):
            return None
        return found

    def _keep(self, name: str, value: object) -> None:
        with suppress(OSError, UnstorableError):
            self._folder.mkdir(parents=True, exist_ok=True)
            store(value, self._folder / f"{name}.npz")
            self._make_room()

    def _make_room(self) -> None:
        """Drop what was not asked for the longest."""
        files = {file: file.stat() for file in self._folder.glob("*.npz")}
        size = sum(one.st_size for one in files.values())
        for file in sorted(files, key=lambda file: files[file].st_mtime):
            if size <= self._limit:
                break
            file.unlink(missing_ok=True)
            size -= files[file].st_size

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold the lock of a value, unless one is held: two that wait for each other never end."""
        with ExitStack() as held:
            if not _HELD.get():
                with suppress(OSError):
                    held.enter_context(holding(self._folder / f"lock-{int(name, 16) % _LOCKS}"))
                token = _HELD.set(True)
                held.callback(_HELD.reset, token)
            yield


def kept_answers() -> KeptValues:
    """What untouched models answered, in this user's cache."""
    return KeptValues(cache_folder() / "answers")
