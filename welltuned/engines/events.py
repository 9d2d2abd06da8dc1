"""Training events that an engine reports to its listeners."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from welltuned.runs.results_schema import FindingRecord, HeadOptimum, Scores


@dataclass(frozen=True)
class Step:
    """One optimizer step."""

    step: int
    """Counted from 1."""
    total: int
    epoch: float
    loss: float
    """The mean loss over the step's examples."""
    learning_rate: float
    """As configured and scheduled; a group's own multiple of it is not in it."""
    gradient_norm: float
    """Before clipping."""
    examples: int
    tokens: int
    seconds: float
    penalty: float = 0.0
    """The penalty of protections, which is not part of the loss."""


class Listener:
    """Listens to training events; each method does nothing unless overridden."""

    def state(self) -> object:
        """What it has made of the events so far, as JSON holds it, for `restore`."""
        return None

    def restore(self, state: object) -> None:
        """Go on from what another one had made of them; called before `started`."""

    def started(self, total_steps: int) -> None:
        """Training begins, or goes on."""

    def stepped(self, step: Step) -> None:
        """An optimizer step was taken."""

    def skipped(self, step: Step, flaw: str) -> None:
        """A step was not taken, as its loss or gradient, whichever `flaw` names, is not finite."""

    def backed_off(self, step: int, size: int) -> None:
        """Memory ran out in a step; from it on micro-batches have so many examples at most."""

    def read(self, done: int, total: int) -> None:
        """The frozen model has read so many of the training examples, for its head to be fitted."""

    def solved(self, number: int, total: int, optimum: HeadOptimum) -> None:
        """The optimum of a linear head was found, for one of so many strengths of L2."""

    def changed(self, step: int, what: str) -> None:
        """The strategy changed which weights train."""

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        """The validation split was scored."""

    def warned(self, step: int, finding: FindingRecord) -> None:
        """A pathology was found: what it is, and what to try."""


class Listeners(Listener):
    """Passes every event on to each of several listeners."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def state(self) -> list[object]:
        return [listener.state() for listener in self._listeners]

    def restore(self, state: object) -> None:
        for listener, own in zip(self._listeners, cast(list[object], state), strict=True):
            listener.restore(own)

    def started(self, total_steps: int) -> None:
        for listener in self._listeners:
            listener.started(total_steps)

    def stepped(self, step: Step) -> None:
        for listener in self._listeners:
            listener.stepped(step)

    def skipped(self, step: Step, flaw: str) -> None:
        for listener in self._listeners:
            listener.skipped(step, flaw)

    def backed_off(self, step: int, size: int) -> None:
        for listener in self._listeners:
            listener.backed_off(step, size)

    def read(self, done: int, total: int) -> None:
        for listener in self._listeners:
            listener.read(done, total)

    def solved(self, number: int, total: int, optimum: HeadOptimum) -> None:
        for listener in self._listeners:
            listener.solved(number, total, optimum)

    def changed(self, step: int, what: str) -> None:
        for listener in self._listeners:
            listener.changed(step, what)

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        for listener in self._listeners:
            listener.evaluated(step, epoch, scores, best)

    def warned(self, step: int, finding: FindingRecord) -> None:
        for listener in self._listeners:
            listener.warned(step, finding)
