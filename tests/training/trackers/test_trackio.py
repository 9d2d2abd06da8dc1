"""What Trackio is told, and what its own files hold where it is installed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.training.trackers import TrackedRun
from welltuned.training.trackers.trackio import Trackio


@pytest.fixture
def calls(stand_in: Any) -> list[tuple[str, Any]]:
    """What a stand-in for the package was called with."""
    calls: list[tuple[str, Any]] = []
    run = SimpleNamespace(
        log=lambda metrics, step: calls.append(("log", (step, metrics))),
        finish=lambda: calls.append(("finish", None)),
    )

    def init(**named: Any) -> Any:
        calls.append(("init", named))
        return run

    stand_in("trackio", init=init)
    return calls


def test_a_cell_is_a_run_of_a_group(calls: Any, tracked: TrackedRun) -> None:
    name = Trackio().begin(tracked)
    asked = dict(calls)["init"]
    assert name == asked["name"] and name.startswith("lora-seed-1-")
    assert (asked["project"], asked["group"], asked["resume"]) == ("welltuned", "reviews", "allow")
    assert asked["config"] == {"model.name": "m", "training.learning_rate": 0.1}
    assert "space_id" not in asked, "that is the user's own setting"


def test_two_runs_of_one_name_are_two(calls: Any, tracked: TrackedRun) -> None:
    assert Trackio().begin(tracked) != Trackio().begin(tracked)


def test_the_same_run_goes_on(calls: Any, tracked: TrackedRun) -> None:
    assert Trackio().begin(replace(tracked, known_as="lora-1")) == "lora-1"
    assert dict(calls)["init"]["name"] == "lora-1"


def test_steps_scores_and_the_end(calls: Any, tracked: TrackedRun) -> None:
    tracker = Trackio()
    tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5})
    tracker.conclude(6, {"test/accuracy": 0.75})
    tracker.end("finished")
    assert calls[1:] == [
        ("log", (4, {"train/loss": 0.5})),
        ("log", (6, {"test/accuracy": 0.75})),
        ("finish", None),
    ]


def test_its_own_files_have_the_run(tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads where they are when it is imported."""
    monkeypatch.setenv("TRACKIO_DIR", str(tracked.folder / "trackio"))
    pytest.importorskip("trackio", reason="Trackio is not installed")
    storage = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    tracker = Trackio()
    name = tracker.begin(tracked)
    tracker.log(2, {"train/loss": 0.5})
    tracker.end("stopped")
    tracker = Trackio()
    assert tracker.begin(replace(tracked, known_as=name)) == name
    tracker.log(4, {"train/loss": 0.25})
    tracker.conclude(4, {"test/accuracy": 0.75})
    tracker.end("finished")
    assert storage.get_runs("welltuned") == [name]
    rows = storage.get_logs("welltuned", name)
    assert [(row["step"], row["train/loss"]) for row in rows if "train/loss" in row] == [
        (2, 0.5),
        (4, 0.25),
    ]
    assert any(row.get("test/accuracy") == 0.75 for row in rows)
    assert storage.get_run_config("welltuned", name)["training.learning_rate"] == 0.1
    assert any((tracked.folder / "trackio").iterdir())
