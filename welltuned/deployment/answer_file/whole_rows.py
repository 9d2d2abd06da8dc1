"""Whole rows: what a process that was killed has left of one is found, and cut off."""

from __future__ import annotations

import os
from pathlib import Path


def keep_whole_rows(file: Path, quoted: bool = False) -> int:
    """Cut off what stands after the last whole row, and return how many rows there are.

    Where cells may be `quoted`, a line may end within a row: so long as its quotes are odd.
    """
    rows = end = read = 0
    within = False
    with file.open("rb") as stream:
        for line in stream:
            read += len(line)
            within ^= quoted and line.count(b'"') % 2 == 1
            if not within and line.endswith(b"\n"):
                rows, end = rows + 1, read
    if end < read:
        os.truncate(file, end)
    return rows
