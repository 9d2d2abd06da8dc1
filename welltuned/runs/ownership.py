"""One owner: a run's folder belongs to one process at a time.

The lock dies with its holder, so a run that says it is at work while nobody holds its folder was
killed, and there is no stale lock to clear away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from welltuned.errors import Fault, InputError, Place
from welltuned.runs.disk import make_folder
from welltuned.runs.locks import Lock

LOCK = ".lock"
"""Its file in the folder, while there is an owner."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder for a while; it is made where there is none.

    Raises `InputError` where another process does.
    """
    make_folder(folder)
    lock = Lock(folder / LOCK)
    if not lock.acquire(wait=False):
        raise InputError(
            Fault(
                "run.owned_by_another",
                "another process ({owner}) is at work in this folder",
                Place(str(folder)),
                "wait for it, or choose another output_dir",
                owner=(folder / LOCK).read_text(encoding="utf-8") or "just starting",
            )
        )
    lock.sign(str(os.getpid()))
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may have gone
            (folder / LOCK).unlink()
        lock.release()


def is_owned(folder: Path) -> bool:
    """Whether a process is at work in a folder now."""
    if not (folder / LOCK).exists():
        return False
    lock = Lock(folder / LOCK)
    try:
        free = lock.acquire(wait=False)
    except OSError:  # somebody else's, whom we cannot ask
        return True
    if free:
        lock.release()
    return not free


def is_free(folder: Path) -> bool:
    """Whether a run may begin there: nothing is there, or what one left that was killed at once."""
    if not folder.is_dir():
        return not folder.exists()
    names = [path.name for path in folder.iterdir()]
    return all(name == LOCK or (name[0] == "." and name.endswith(".new")) for name in names)
