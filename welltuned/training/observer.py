"""Observers of a run: events for the terminal and for files alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypedDict, cast

from welltuned.engines.events import Listener, Step
from welltuned.runs import Run
from welltuned.runs.results_schema import FindingRecord, HeadOptimum, Scores

if TYPE_CHECKING:
    from welltuned.models.freezing import TableRow
    from welltuned.training.preparation.prepare import RunPlan


Line = Mapping[str, object]
"""A line of metrics.jsonl: step, split, and what is told of them."""
_METRICS = "metrics.jsonl"
_FACTS = ("skipped_steps", "micro_batch_size")
"""What status.json tells beside how far the run is."""


class Observer(Listener):
    """Observes the whole run; each method does nothing unless overridden."""

    def working(self, what: str, done: int, total: int) -> None:
        """Long work other than training has come this far."""

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        """Work that has something to tell on its way has come this far."""

    def waiting(self, what: str, seconds: float) -> None:
        """The run has been at the same phase for so long, two seconds or more.

        Told again and again, from a thread of its own.
        """

    def waited(self) -> None:
        """That phase is over; told from the same thread."""

    def entered_run(self, number: int, total: int) -> None:
        """Of the runs of a cross-validation, this one comes next; they are counted from 0."""

    def prepared(self, prepared: RunPlan) -> None:
        """Everything was checked; weights come next."""

    def noted(self, text: str) -> None:
        """A note for the user."""

    def loaded(self, rows: list[TableRow]) -> None:
        """The model is ready; this is what will train."""

    def finished(self, run: Run) -> None:
        """The run is complete."""


class RecorderState(TypedDict):
    """What a recorder has not written yet, and how long what it has written is."""

    waiting: list[dict[str, Any]]
    seconds: float
    facts: dict[str, int]
    bytes: int


class Recorder(Listener):
    """Writes metrics.jsonl and keeps status.json up to date.

    `seconds` are those spent in optimizer steps so far. `tell` hears of every line as it is
    written.
    """

    def __init__(
        self, run: Run, every: int, tell: Callable[[Line], object] = lambda row: None
    ) -> None:
        self._run = run
        self._every = every
        self._tell = tell
        self._waiting: list[Step] = []
        self._seconds = 0.0
        self._facts: dict[str, int] = {}

    def state(self) -> RecorderState:
        return {
            "waiting": [asdict(step) for step in self._waiting],
            "seconds": self._seconds,
            "facts": self._facts,
            "bytes": self._run.size_of(_METRICS),
        }

    def restore(self, state: object) -> None:
        """Lines written since then are taken back: what they tell of comes again."""
        noted = cast(RecorderState, state)
        self._waiting = [Step(**step) for step in noted["waiting"]]
        self._seconds, self._facts = noted["seconds"], noted["facts"]
        self._run.cut(_METRICS, noted["bytes"])

    def started(self, total_steps: int) -> None:
        """A run that has begun anew had told more, perhaps, than is so now."""
        status = {**self._run.status}
        others = {name: value for name, value in status.items() if name not in _FACTS}
        if status != {**others, **self._facts}:
            self._run.write("status.json", {**others, **self._facts})

    def stepped(self, step: Step) -> None:
        self._waiting.append(step)
        self._seconds += step.seconds
        self._flush_if_due(step)

    def skipped(self, step: Step, flaw: str) -> None:
        self._seconds += step.seconds
        told = {"step": step.step, "split": "train", "epoch": step.epoch, "skipped": flaw}
        self._write(told)
        self._note(skipped_steps=self._facts.get("skipped_steps", 0) + 1)
        self._flush_if_due(step)

    def backed_off(self, step: int, size: int) -> None:
        self._write({"step": step, "split": "train", "micro_batch_size": size})
        self._note(micro_batch_size=size)

    def _note(self, **facts: int) -> None:
        self._facts |= facts
        self._run.tell(**facts)

    def _flush_if_due(self, step: Step) -> None:
        if self._waiting and (step.step % self._every == 0 or step.step in (1, step.total)):
            self._flush()

    def solved(self, number: int, total: int, optimum: HeadOptimum) -> None:
        self._seconds += optimum["seconds"]

    def changed(self, step: int, what: str) -> None:
        self._write({"step": step, "split": "train", "change": what})

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        if self._waiting:
            self._flush()
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        self._write(
            {
                "step": step,
                "split": "validation",
                "epoch": epoch,
                "seconds": self._seconds,
                **numbers,
                "best": best,
            }
        )

    def warned(self, step: int, finding: FindingRecord) -> None:
        self._write({"step": step, "split": "train", "warning": finding})

    def _write(self, row: Line) -> None:
        self._run.append(_METRICS, row)
        self._tell(row)

    def _flush(self) -> None:
        steps, self._waiting = self._waiting, []
        examples = sum(step.examples for step in steps)
        seconds = sum(step.seconds for step in steps)
        last = steps[-1]
        self._write(
            {
                "step": last.step,
                "split": "train",
                "epoch": round(last.epoch, 4),
                "seconds": self._seconds,
                "loss": sum(step.loss * step.examples for step in steps) / examples,
                "learning_rate": last.learning_rate,
                "gradient_norm": last.gradient_norm,
                **({"penalty": last.penalty} if last.penalty else {}),
                "examples_per_second": examples / seconds if seconds else 0.0,
            }
        )
        self._run.set_status("running", last.step)
