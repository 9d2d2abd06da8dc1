"""Observer that forwards the events of a pipeline to the parent process."""

from __future__ import annotations

from welltuned.engines.events import Step
from welltuned.experiments.executors.telling import TellingObserver


class TellingStages(TellingObserver):
    """Of a pipeline: how far a stage is says nothing of how far the whole is."""

    def stepped(self, step: Step) -> None:
        self.working(f"step {step.step}/{step.total}", step.step, step.total)

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        self.working(f"{what} {done}/{total}", done, total)
