"""One process works on a comparison at a time.

The lock belongs to the process and not to the file: when the process ends, however
it ends, the system lets go of it. A lock file that was left behind holds nobody up.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from welltuned.errors import Fault, InputError, Place

_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder. Raises `InputError`, naming the holder, when another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _NAME).open("a+", encoding="utf-8") as file:
        if not _acquire(file):
            file.seek(0)
            raise InputError(
                Fault(
                    f"another process works on this comparison ({file.read().strip() or '?'})",
                    Place(str(folder)),
                    "wait for it, stop it, or choose another output_dir",
                )
            )
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    def _acquire(file: IO[str]) -> bool:
        try:
            file.seek(2**30)  # far behind the text, which others must be able to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _acquire(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
