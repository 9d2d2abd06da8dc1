"""Phases: where the seconds of a run go.

    with phase("load"):
        ...

A phase within another is taken off the outer one, so that their sum is the run's wall time.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal[
    "import", "data", "load", "probe", "baseline", "train", "validate", "test", "generate",
    "retention", "save", "proof", "report",
]  # fmt: skip


class PhaseClock(threading.local):
    """Seconds by phase, of the run that this thread is at."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[Phase] = []
        self._since = 0.0

    def begin(self) -> None:
        """A new run. What was imported for it counts."""
        imported = self.seconds["import"]
        self.seconds.clear()
        self.seconds["import"] = imported

    def end(self) -> dict[str, float]:
        """Seconds of each phase that there was, in the order in which they began."""
        self._charge()
        taken = {name: seconds for name, seconds in self.seconds.items() if seconds > 0}
        self.seconds.clear()
        return taken

    def enter(self, name: Phase) -> None:
        self._charge()
        self._open.append(name)
        self.seconds[name] += 0.0

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


CLOCK = PhaseClock()


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """What happens within it, other phases apart, takes time for this."""
    CLOCK.enter(name)
    try:
        yield
    finally:
        CLOCK.leave()
