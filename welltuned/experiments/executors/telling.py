"""Observer of a run in a worker: it tells the parent process how far the run is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from welltuned.engines.events import Step
from welltuned.runs.results_schema import Scores
from welltuned.training.observer import Observer
from welltuned.training.waits import Pace

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell

_SECONDS = 0.2
"""The least time between two events of the same kind; the last of a kind is always told."""


class TellingObserver(Observer):
    """Forwards progress: long work, steps and scores."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: dict[str, float] = {}
        self._pace = Pace()

    def working(self, what: str, done: int, total: int) -> None:
        self._now_and_then("working", done >= total, what=what, done=done, total=total)

    def waiting(self, what: str, seconds: float) -> None:
        if self._pace.is_silent(seconds):
            self._tell("working", what=what, done=0, total=1)

    def stepped(self, step: Step) -> None:
        last = step.step == step.total
        self._now_and_then("stepped", last, step=step.step, total=step.total, loss=step.loss)

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        numbers = {name: value for name, value in scores.items() if isinstance(value, float)}
        self._tell("evaluated", step=step, epoch=epoch, scores=numbers, best=best)

    def _now_and_then(self, event: str, last: bool, **values: Any) -> None:
        self._pace.heard()
        now = time.monotonic()
        if last or now - self._told.get(event, -_SECONDS) >= _SECONDS:
            self._told[event] = now
            self._tell(event, **values)


class TellingFolds(TellingObserver):
    """Of a cross-validation: steps are counted over all of its runs, as if each had as many."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(tell)
        self._number, self._runs = 0, 1

    def entered_run(self, number: int, total: int) -> None:
        self._number, self._runs = number, total

    def stepped(self, step: Step) -> None:
        so_far = self._number * step.total + step.step
        super().stepped(replace(step, step=so_far, total=self._runs * step.total))
