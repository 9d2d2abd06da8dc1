"""A run under diagnosis: warnings while it trains, the verdict when it is over."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Any

from welltuned import diagnosis
from welltuned.diagnosis import Fault
from welltuned.engines.events import Listener, Listeners, Step
from welltuned.errors import NotFinite
from welltuned.runs import Run

_SETTLED = 10
"""Steps before a loss is judged."""
_KEEP = 0.9
_BLOWN_UP = 3.0
_IN_A_ROW = 2
"""Evaluations that name a single class before that is more than a slow start."""


class Watch(Listener):
    """Listens to training and warns `listener`, once of each fault."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._first: list[float] = []
        self._total = self._weight = 0.0
        self._single = 0
        self._told: set[Fault] = set()

    def stepped(self, step: Step) -> None:
        self._total = _KEEP * self._total + step.loss
        self._weight = _KEEP * self._weight + 1
        if len(self._first) < _SETTLED:
            self._first.append(step.loss)
            return
        start, level = sum(self._first) / _SETTLED, self._total / self._weight
        if level > _BLOWN_UP * min(start, self._first[0]) or not math.isfinite(level):
            what = f"the training loss has risen from {self._first[0]:.3g} to {level:.3g}"
            self._warn("diverged", step.step, f"{what}; a lower training.learning_rate is needed")

    def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
        classes = len(scores.get("per_class", ()))
        single = classes > 1 and scores.get("classes_predicted") == 1
        self._single = self._single + 1 if single else 0
        if self._single >= _IN_A_ROW:
            self._warn("collapsed", step, "every validation example is given the same class")

    def _warn(self, fault: Fault, step: int, text: str) -> None:
        if fault not in self._told:
            self._told.add(fault)
            self._listener.warned(step, text)


def watched(listeners: Sequence[Listener]) -> Listeners:
    """These listeners, who are also told when something has clearly gone wrong."""
    return Listeners([*listeners, Watch(Listeners(listeners))] if listeners else [])


def diagnose(run: Run, results: dict[str, Any]) -> dict[str, Any]:
    """What the run's curves say, for results.json; status.json gets the verdict."""
    metrics = list(run.read_lines("metrics.jsonl"))
    found = diagnosis.diagnose(metrics, results, run.config, _config_file(run))
    run.set_diagnosis(diagnosis.verdict(found))
    return {"verdict": diagnosis.verdict(found), "findings": [each.as_dict() for each in found]}


def note_divergence(run: Run, error: NotFinite) -> str:
    """Write down why the run had to stop. Returns what to try next, in words."""
    finding = diagnosis.diverged(str(error), run.config, _config_file(run))
    run.set_diagnosis(finding.fault)
    return finding.next


def _config_file(run: Run) -> str:
    return shlex.quote(str(run.folder / "config.yaml"))
