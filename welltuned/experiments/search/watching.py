"""Observer of the runs inside a search."""

from __future__ import annotations

from welltuned.engines.events import Step
from welltuned.training.observer import Observer


class Forwarded(Observer):
    """Tells on how far the run has come, and keeps the rest to itself."""

    def __init__(self, watcher: Observer) -> None:
        self._watcher = watcher

    def working(self, what: str, done: int, total: int) -> None:
        self._watcher.working(what, done, total)

    def started(self, total_steps: int) -> None:
        self._watcher.started(total_steps)

    def stepped(self, step: Step) -> None:
        self._watcher.stepped(step)
