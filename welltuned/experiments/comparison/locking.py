"""Lock: only one process works on a comparison at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from welltuned.errors import Fault, InputError, Place
from welltuned.runs.disk import make_folder
from welltuned.runs.locks import Lock

_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder. Raises `InputError`, naming the holder, when another process has it."""
    file = folder / _NAME
    make_folder(folder)
    lock = Lock(file)
    if not lock.acquire(wait=False):
        holder = file.read_text(encoding="utf-8").strip() or "?"
        raise InputError(
            Fault(
                "compare.in_progress",
                "another process is working on this comparison ({holder})",
                Place(str(folder)),
                "wait for it, stop it, or choose another output_dir",
                holder=holder,
            )
        )
    lock.sign(f"process {os.getpid()} on {socket.gethostname()}\n")
    try:
        yield
    finally:
        lock.release()
