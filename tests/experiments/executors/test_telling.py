"""A run that tells its parent process how far it is."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.engines.events import Step
from welltuned.experiments.executors.telling import TellingFolds, TellingObserver


def test_progress_is_told_now_and_then_and_the_last_of_it_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    told: list[Any] = []
    observer = TellingObserver(lambda event, **values: told.append((event, values["done"])))
    for done, now[0] in ((1, 0.0), (2, 0.1), (3, 0.3), (4, 0.35)):
        observer.working("reading", done, 4)
    assert told == [("working", 1), ("working", 3), ("working", 4)]


def test_steps_and_scores_are_told_as_json_has_them() -> None:
    told: dict[str, Any] = {}
    observer = TellingObserver(lambda event, **values: told.update({event: values}))
    step = Step(step=2, total=2, epoch=1.0, loss=0.5, learning_rate=1e-3, gradient_norm=1.0,
                examples=4, tokens=9, seconds=0.1)  # fmt: skip
    observer.stepped(step)
    observer.evaluated(2, 1.0, {"accuracy": 0.75, "per_class": {}}, True)
    assert told["stepped"] == {"step": 2, "total": 2, "loss": 0.5}
    assert told["evaluated"] == {"step": 2, "epoch": 1.0, "scores": {"accuracy": 0.75},
                                 "best": True}  # fmt: skip


def test_steps_of_a_cross_validation_are_counted_over_all_folds() -> None:
    told: list[tuple[int, int]] = []
    observer = TellingFolds(lambda event, **values: told.append((values["step"], values["total"])))
    step = Step(step=4, total=4, epoch=1.0, loss=0.5, learning_rate=1e-3, gradient_norm=1.0,
                examples=4, tokens=9, seconds=0.1)  # fmt: skip
    observer.stepped(step)
    observer.entered_run(2, 3)
    observer.stepped(step)
    assert told == [(4, 4), (12, 12)]
