"""When a training is saved on its way: after so many steps, or so many minutes.

By default as often as costs little: a save is due once the time since the last one is many times
what that one took, and a minute at least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from welltuned.engines.config import TrainingConfig

_LEAST = 60.0
"""Seconds between saves whose distance nobody chose..."""
_TIMES = 40.0
"""... and how many times longer than a save that is: saving takes 2.5% of the time at most."""


class SaveSchedule:
    """Knows when the last save was, and what it took."""

    def __init__(
        self, training: TrainingConfig, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._steps, self._minutes = training.save_steps, training.save_minutes
        self._clock = clock
        self._last, self._took = clock(), 0.0

    def is_due(self, step: int) -> bool:
        """Whether to save after this step (from 1)."""
        if self._steps is not None:
            return step % self._steps == 0
        passed = self._clock() - self._last
        if self._minutes == "auto":
            return passed >= max(_LEAST, _TIMES * self._took)
        return passed >= 60 * self._minutes

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around a save."""
        start = self._clock()
        yield
        self._last = self._clock()
        self._took = self._last - start
