"""User cache: measurements of this machine, kept for later runs.

A timing differs a little each time. What is decided by it must not, or the same seed would not
give the same bits twice: so it is measured once, and remembered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from welltuned.runs.folder import write_atomically

_FILE = "machine.json"


def cache_folder() -> Path:
    """`$WELLTUNED_CACHE`, else `welltuned` in the user's place for caches."""
    if own := os.environ.get("WELLTUNED_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "welltuned"


def remembered(what: str, measure: Callable[[], float]) -> float:
    """What was measured under this name before, else what `measure` finds now.

    A cache that cannot be read or written costs a new measurement, and nothing else.
    """
    known = _read()
    if what in known:
        return known[what]
    value = measure()
    file = cache_folder() / _FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({**known, what: value}, indent=2) + "\n")
    except OSError:
        pass
    return value


def recalled(what: str) -> float | None:
    """What was measured under this name before; None where nothing was."""
    return _read().get(what)


def _read() -> dict[str, float]:
    try:
        return dict(json.loads((cache_folder() / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
