"""File locks that the operating system releases when their holder dies.

So a lock that can be had means that nobody is at work, and no stale lock has to be recovered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """Held by one process at a time, by way of a file; in it may stand who that is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock, waiting for it if asked. Returns whether it is held now."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
            if not _take(descriptor, wait):
                os.close(descriptor)
                return False
            if self._is_of_the_file(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)

    def _is_of_the_file(self, descriptor: int) -> bool:
        """Whether nobody removed the file between its opening and the taking of the lock."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._file))
        except FileNotFoundError:
            return False

    def sign(self, text: str) -> None:
        """Write into the file who holds the lock, for those who are refused."""
        assert self._descriptor is not None, "only what is held can be signed"
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.encode())

    def release(self) -> None:
        """Let go; closing the file is what does it."""
        assert self._descriptor is not None, "only what is held can be released"
        os.close(self._descriptor)
        self._descriptor = None


@contextmanager
def holding(file: Path) -> Iterator[None]:
    """Wait for the lock of this file and hold it for a while."""
    lock = Lock(file)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


if sys.platform == "win32":
    import msvcrt
    import time

    def _take(descriptor: int, wait: bool) -> bool:
        os.lseek(descriptor, 2**30, os.SEEK_SET)  # behind any text, which others may read
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
                time.sleep(0.05)
else:
    import fcntl

    def _take(descriptor: int, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            return False
