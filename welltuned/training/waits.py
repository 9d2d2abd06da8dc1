"""Waits: whatever takes longer than two seconds is told of.

What knows how far it is tells so itself (`Observer.working`, `Observer.stepped`). Of all else a
thread tells that the run is still at the same phase (`Observer.waiting`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from welltuned.runs.phases import CLOCK, MEANING, Phase, Present
from welltuned.training.observer import Observer

PATIENCE = 2.0
"""Seconds of silence that nobody minds."""
_EVERY = 10.0
"""Seconds between two lines of a log about the same work."""
_LOOKS = 0.5
"""Seconds between two looks at what the run is at."""


class Pace:
    """When a log is told of work that goes on: after two seconds of it, then every ten."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every = every
        self._what = ""
        self._began = self._heard = self._told = time.monotonic()

    def is_due(self, what: str, is_last: bool = False) -> bool:
        """Whether a log is to have a line about work that has just told how far it is."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began = what, now
        self.heard()
        return self._line(is_last or self._is_time(self._began, now), now)

    def heard(self) -> None:
        """Work has told how far it is."""
        self._heard = time.monotonic()

    def is_silent(self, seconds: float) -> bool:
        """Whether work that began so long ago has told nothing for a while."""
        return min(seconds, time.monotonic() - self._heard) >= PATIENCE

    def breaks_silence(self, seconds: float) -> bool:
        """Whether a log is to have a line about such work."""
        now = time.monotonic()
        return self._line(self.is_silent(seconds) and self._is_time(now - seconds, now), now)

    def told(self) -> None:
        """A log had a line of another kind."""
        self._line(True, time.monotonic())

    def _is_time(self, began: float, now: float) -> bool:
        if self._told > began:
            return now - self._told >= self._every
        return now - began >= min(PATIENCE, self._every)

    def _line(self, is_due: bool, now: float) -> bool:
        if is_due:
            self._told = now
        return is_due


class Rate:
    """How fast work goes, from when it first told how far it is."""

    def __init__(self) -> None:
        self._what, self._began, self._before = "", 0.0, 0

    def text(self, what: str, done: int) -> str:
        """Items of work by the second, for people; nothing before it has taken two seconds."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._before = what, now, done
        seconds = now - self._began
        return f"{(done - self._before) / seconds:,.0f}/s" if seconds >= PATIENCE else ""


class Waits:
    """Tells an observer how long a run has been at the same phase."""

    def __init__(self, observer: Observer, present: Present) -> None:
        self._observer = observer
        self._present = present
        self._told: tuple[Phase, float] | None = None

    def look(self) -> None:
        """Tell, if it is long; and once it is over."""
        at = self._present.at
        if self._told not in (None, at):
            self._told = None
            self._observer.waited()
        phase, since = at
        seconds = time.perf_counter() - since
        if seconds >= PATIENCE:
            self._told = at
            self._observer.waiting(MEANING[phase], seconds)

    def keep_looking(self, over: threading.Event) -> None:
        """Look now and then until it is over."""
        while not over.wait(_LOOKS):
            self.look()


@contextmanager
def telling_waits(observer: Observer) -> Iterator[None]:
    """Tell an observer of long waits of the run in this thread, unless it is told already."""
    if CLOCK.is_watched or type(observer).waiting is Observer.waiting:
        yield
        return
    over = threading.Event()
    watch = Waits(observer, CLOCK.present).keep_looking
    thread = threading.Thread(target=watch, args=(over,), daemon=True)
    CLOCK.is_watched = True
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        CLOCK.is_watched = False
        observer.waited()
