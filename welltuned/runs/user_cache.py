"""User cache: measurements of this machine, kept for later runs.

A timing differs a little each time. What is decided by it must not, or the same seed would not
give the same bits twice: so it is measured once, and remembered for a while, with its day.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from welltuned.runs.folder import write_atomically
from welltuned.runs.locks import holding

_FILE = "machine.json"
_FRESH = timedelta(days=30)
"""Machines get other kernels, governors and neighbours: what is older is measured anew."""


@dataclass(frozen=True)
class Measurement:
    """A number that was measured, and the day, as in 2026-01-31."""

    value: float
    day: str

    @property
    def is_fresh(self) -> bool:
        age = date.today() - date.fromisoformat(self.day)
        return timedelta(0) <= age <= _FRESH


def cache_folder() -> Path:
    """`$WELLTUNED_CACHE`, else `welltuned` in the user's place for caches."""
    if own := os.environ.get("WELLTUNED_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "welltuned"


def remembered(what: str, measure: Callable[[], float | None]) -> Measurement | None:
    """What was measured under this name of late, else what `measure` finds now.

    Where it finds nothing to rely on, None, and nothing is kept. Of several processes that ask at
    once, one measures and the others wait. A cache that cannot be read or written costs a new
    measurement, and nothing else.
    """
    with _alone():
        if (known := recalled(what)) is not None:
            return known
        value = measure()
        if value is None:
            return None
        found = Measurement(value, date.today().isoformat())
        _write({**_read(), what: asdict(found)})
        return found


def recalled(what: str) -> Measurement | None:
    """What was measured under this name of late; None where nothing was."""
    try:
        found = Measurement(**_read()[what])  # type: ignore[arg-type]
        return found if found.is_fresh else None
    except (KeyError, TypeError, ValueError):  # not there, or of a release that kept no day
        return None


@contextmanager
def _alone() -> Iterator[None]:
    with ExitStack() as held:
        with suppress(OSError):
            held.enter_context(holding(cache_folder() / f"{_FILE}.lock"))
        yield


def _write(values: dict[str, object]) -> None:
    with suppress(OSError):
        file = cache_folder() / _FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(values, indent=2) + "\n")


def _read() -> dict[str, object]:
    try:
        return dict(json.loads((cache_folder() / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
