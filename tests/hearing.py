"""A tracker that keeps what it is told, and what it should have been told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from welltuned.runs import Run
from welltuned.training.trackers import End, TrackedRun, Tracker, tracking
from welltuned.training.trackers.numbers import numbers_of


class Heard(Tracker):
    """Keeps what all of its kind are told, and fails where it is asked to."""

    package: ClassVar[str] = "tensorboard"
    events: ClassVar[list[tuple[Any, ...]]] = []
    fails_at: ClassVar[str | None] = None

    def _hear(self, what: str, *told: Any) -> None:
        if what == self.fails_at:
            raise RuntimeError("no route to hf_Planted0123456789Planted")
        self.events.append((what, *told))

    def begin(self, run: TrackedRun) -> str:
        self._hear("begin", run)
        return run.known_as or "its-name"

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._hear("log", step, dict(numbers))

    def conclude(self, step: int, numbers: Mapping[str, float]) -> None:
        self._hear("conclude", step, dict(numbers))

    def end(self, how: End) -> None:
        self._hear("end", how)


def hearing(monkeypatch: pytest.MonkeyPatch) -> type[Heard]:
    """In place of TensorBoard and MLflow; what it is told stands in its `events`."""
    monkeypatch.setattr(Heard, "events", [])
    monkeypatch.setattr(Heard, "fails_at", None)
    monkeypatch.setattr(tracking, "TRACKERS", {"tensorboard": Heard, "mlflow": Heard})
    return Heard


def lines_of(run: Run) -> list[tuple[Any, ...]]:
    """What a tracker should have been told of a run's lines."""
    rows = ((row["step"], numbers_of(row)) for row in run.read_lines("metrics.jsonl"))
    return [("log", step, numbers) for step, numbers in rows if numbers]


def logged(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [event for event in events if event[0] == "log"]


def without_clock(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Steps and numbers, but for what tells of this hour."""
    return [
        (what, step, {k: v for k, v in told.items() if "second" not in k})
        for what, step, told in events
    ]
