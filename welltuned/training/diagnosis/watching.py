"""Diagnosis during a run, and the verdict at its end."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypedDict, cast

from welltuned.engines.events import Listener, Listeners, Step
from welltuned.errors import Place
from welltuned.runs import Run
from welltuned.runs.disk import make_folder
from welltuned.runs.folder import next_free, write_json
from welltuned.runs.results_schema import Diagnosis, KnownSoFar, Scores
from welltuned.schema.messages import Message, message
from welltuned.training.diagnosis import diagnose, verdict
from welltuned.training.diagnosis.advice import suggest_next
from welltuned.training.diagnosis.evidence import gather
from welltuned.training.diagnosis.finding import HEALTHY, Fault, Finding
from welltuned.training.diagnosis.optimum import optimum_found
from welltuned.training.diagnosis.spikes import Spikes

_SETTLED = 10
"""Steps before a loss is judged."""
_KEEP = 0.9
_BLOWN_UP = 3.0
_IN_A_ROW = 2
"""Evaluations that find the same before it is told: one may be a slow start."""


class WatchState(TypedDict):
    """What a watch has seen so far."""

    first: list[float]
    total: float
    weight: float
    suspected: Fault | None
    times: int
    told: list[Fault]
    spikes: dict[str, Any]


class Watch(Listener):
    """Listens to training and tells `listener` and the run's status, once of each fault.

    Losses are watched at every step, everything else at every evaluation.
    """

    def __init__(self, run: Run, metric: str, listener: Listener) -> None:
        self._run, self._metric, self._listener = run, metric, listener
        self._first: list[float] = []
        self._total = self._weight = 0.0
        self._suspected: Fault | None = None
        self._times = 0
        self._told: set[Fault] = set()
        self._spikes = Spikes()

    def state(self) -> WatchState:
        return {
            "first": self._first,
            "total": self._total,
            "weight": self._weight,
            "suspected": self._suspected,
            "times": self._times,
            "told": sorted(self._told),
            "spikes": asdict(self._spikes),
        }

    def restore(self, state: object) -> None:
        noted = cast(WatchState, state)
        self._first, self._suspected = noted["first"], noted["suspected"]
        self._total, self._weight = noted["total"], noted["weight"]
        self._times, self._told = noted["times"], set(noted["told"])
        self._spikes = Spikes(**noted["spikes"])

    def stepped(self, step: Step) -> None:
        if self._spikes.begins_at(step.loss):
            self._warn_of_spike(step)
        self._total = _KEEP * self._total + step.loss
        self._weight = _KEEP * self._weight + 1
        if len(self._first) < _SETTLED:
            self._first.append(step.loss)
            return
        start, level = sum(self._first) / _SETTLED, self._total / self._weight
        if level > _BLOWN_UP * min(start, self._first[0]) or not math.isfinite(level):
            what = message(
                "diagnosis.loss_rising",
                "the training loss has risen from {start} to {level}",
                start=f"{self._first[0]:.3g}",
                level=f"{level:.3g}",
            )
            self._tell(step.step, _finding("diverged", what, self._run))

    def _warn_of_spike(self, step: Step) -> None:
        """Tell it; one spike is no verdict on a run."""
        what = message(
            "diagnosis.spike",
            "the training loss jumped to {loss} at step {step}, from a median of {level}",
            loss=f"{step.loss:.3g}",
            step=step.step,
            level=f"{self._spikes.level:.3g}",
        )
        self._listener.warned(step.step, _finding("spiked", what, self._run).as_dict())

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        so_far: KnownSoFar = {"metric": self._metric, "validation": scores}
        finding = _diagnose(self._run, so_far, over=False)
        fault = finding.fault if finding else None
        self._times = self._times + 1 if fault == self._suspected else 1
        self._suspected = fault
        if finding is not None and self._times >= _IN_A_ROW:
            self._tell(step, finding)

    def _tell(self, step: int, finding: Finding) -> None:
        if finding.fault not in self._told:
            self._told.add(finding.fault)
            self._run.set_diagnosis(_status(finding))
            self._listener.warned(step, finding.as_dict())


def diagnosing_listener(listeners: Sequence[Listener], run: Run, metric: str) -> Listeners:
    """These listeners, who are also told when something has clearly gone wrong."""
    watch = [Watch(run, metric, Listeners(listeners))] if listeners else []
    return Listeners([*listeners, *watch])


def diagnose_run(run: Run, results: KnownSoFar) -> Diagnosis:
    """What the curves of a run that is over say, for results.json; its status is told too."""
    finding = _diagnose(run, results, over=True)
    run.set_diagnosis(_status(finding))
    return verdict(finding, optimum_found(results))


def note_divergence(run: Run, error: Exception) -> Finding:
    """Tell the status of a run that had to stop at a loss that is no number, and what to try."""
    finding = _finding(
        "diverged", message("diagnosis.stopped", "training stopped: {error}", error=str(error)), run
    )
    run.set_diagnosis(_status(finding))
    return finding


def save_study(run: Run, step: int, found: Mapping[str, object]) -> Place:
    """Write down what a step was made of that was not taken; returns where it stands."""
    make_folder(run.not_finite)
    file = run.not_finite / f"step-{step}.json"
    write_json(file, found)
    return Place(str(file))


def _diagnose(run: Run, results: KnownSoFar, over: bool) -> Finding | None:
    metrics = list(run.read_lines("metrics.jsonl"))
    return diagnose(metrics, results, run.config, *_names(run), over)


def _finding(fault: Fault, what: Message, run: Run) -> Finding:
    return Finding(fault, what, *suggest_next(fault, gather([], {}), run.config, *_names(run)))


def _names(run: Run) -> tuple[str, str]:
    """The run's config, and a folder that is free for another run."""
    config, folder = run.folder / "config.yaml", next_free(run.folder.parent, run.folder.name)
    return shlex.quote(str(config)), shlex.quote(str(folder))


def _status(finding: Finding | None) -> dict[str, str]:
    """In words, for status.json."""
    if finding is None:
        return {"verdict": HEALTHY}
    seen, next_thing = finding.lines
    return {"verdict": finding.fault, "seen": seen, "next": next_thing, "command": finding.command}
