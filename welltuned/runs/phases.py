"""Phases: where the seconds of a run go.

    with phase("load"):
        ...

A phase within another is taken off the outer one, and what is in none is `other`: so their sum is
the run's wall time.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypedDict, cast

Phase = Literal[
    "import", "data", "convert", "load", "probe", "baseline", "train", "validate", "test",
    "generate", "retention", "save", "proof", "report", "rollout", "reward", "learning", "looking",
    "other",
]  # fmt: skip
MEANING: Mapping[str, str] = {
    "import": "importing libraries",
    "data": "reading data",
    "convert": "converting a GGUF file",
    "load": "loading the model",
    "probe": "trying settings",
    "baseline": "the untouched model",
    "train": "training the model",
    "validate": "reading validation",
    "test": "reading test",
    "generate": "writing answers",
    "retention": "measuring what it forgot",
    "save": "saving",
    "proof": "verifying the artifact",
    "report": "writing the report",
    "rollout": "writing responses",
    "reward": "scoring responses",
    "learning": "learning from rewards",
    "looking": "answering validation prompts",
    "other": "everything else",
}
"""What a person reads; also the labels that reports translate."""
_ROUNDING = 1e-6
"""Seconds that are left over when as many floats are added up."""


class Spent(TypedDict):
    """What a run has taken so far."""

    phases: dict[str, float]
    """Seconds of wall time by phase."""
    cpu_seconds: float


class Present:
    """The phase that a run is at, which other threads may read."""

    at: tuple[Phase, float] = "other", 0.0
    """The phase, and since when by `time.perf_counter`."""


class PhaseClock(threading.local):
    """Seconds by phase, of the run that this thread is at."""

    def __init__(self) -> None:
        self.seconds: defaultdict[Phase, float] = defaultdict(float)
        self.present = Present()
        self.is_watched = False
        """Whether somebody tells what the present phase is."""
        self._open: list[Phase] = []
        self._is_expected = False
        self.carried: Spent | None = None
        """What processes before this one had spent on the run, until it was last saved."""
        self._restart()

    def expect(self, already: float = 0.0) -> None:
        """A run will begin. Its time counts from now on, and so many seconds before now."""
        self._restart(already)
        self._is_expected = True

    def begin(self) -> None:
        """A run begins."""
        if not self._is_expected:
            self._restart()
        self._is_expected = False

    def so_far(self) -> dict[str, float]:
        """Seconds of each phase that there was, in the order in which they began; `other` last."""
        self._charge()
        taken: dict[str, float] = {name: spent for name, spent in self.seconds.items() if spent > 0}
        other = self._since - self._began - sum(taken.values())
        return taken | ({"other": other} if other > _ROUNDING else {})

    def spent(self) -> Spent:
        """What the run has taken so far, also in processes before this one."""
        earlier = self.carried["cpu_seconds"] if self.carried else 0.0
        computed = time.process_time() - self._cpu_began + earlier
        return {"phases": self.so_far(), "cpu_seconds": computed}

    def carry(self, spent: Spent) -> None:
        """The run goes on after so much."""
        self.carried = spent
        for name, seconds in spent["phases"].items():
            self._began -= seconds
            if name != "other":
                self.seconds[cast(Phase, name)] += seconds

    def end(self) -> dict[str, float]:
        """The same, and the run is over."""
        taken = self.so_far()
        self._restart()
        return taken

    def enter(self, name: Phase) -> None:
        self._charge()
        self._open.append(name)
        self.seconds[name] += 0.0
        self._show()

    def leave(self) -> None:
        self._charge()
        self._open.pop()
        self._show()

    def _restart(self, already: float = 0.0) -> None:
        self.seconds.clear()
        self._since = time.perf_counter()
        self._began = self._since - already
        self._cpu_began, self.carried = time.process_time(), None
        self._show()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _show(self) -> None:
        self.present.at = (self._open[-1] if self._open else "other"), self._since


CLOCK = PhaseClock()


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """What happens within it, other phases apart, takes time for this."""
    CLOCK.enter(name)
    try:
        yield
    finally:
        CLOCK.leave()
