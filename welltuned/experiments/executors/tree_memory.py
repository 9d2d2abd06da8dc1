"""Memory of a process and all its descendants."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def tree_memory(process: int) -> int:
    """Bytes resident in a process and all its descendants; 0 where the system does not tell."""
    total, waiting = 0, [process]
    while waiting:
        current = waiting.pop()
        try:
            pages = int((_PROC / f"{current}/statm").read_text().split()[1])
            tasks = list((_PROC / f"{current}/task").iterdir())
            for task in tasks:
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile, or this is not Linux
        total += pages * _page_size()
    return total


def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")
