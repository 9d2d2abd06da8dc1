"""What SwanLab is told, by calls of its documented interface."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.training.trackers import TrackedRun
from welltuned.training.trackers.swanlab import SwanLab


@pytest.fixture
def calls(stand_in: Any) -> list[tuple[str, Any]]:
    """What a stand-in for the package was called with."""
    calls: list[tuple[str, Any]] = []
    run = SimpleNamespace(
        log=lambda numbers, step: calls.append(("log", (step, numbers))),
        finish=lambda state, error: calls.append(("finish", (state, error))),
    )

    def init(**named: Any) -> Any:
        calls.append(("init", named))
        return run

    stand_in("swanlab", init=init, Settings=lambda **named: named)
    return calls


def test_a_cell_is_a_run_of_a_group(calls: Any, tracked: TrackedRun) -> None:
    name = SwanLab().begin(tracked)
    asked = dict(calls)["init"]
    assert (asked["experiment_name"], asked["group"]) == ("lora-seed-1", "reviews")
    assert asked["id"] == name and len(name) == 21 and name.isalnum() and name == name.lower()
    assert asked["config"] == tracked.config


def test_it_takes_no_output_and_asks_nobody(calls: Any, tracked: TrackedRun) -> None:
    SwanLab().begin(tracked)
    settings = dict(calls)["init"]["settings"]
    assert settings["terminal"] == {"proxy_type": "none"} and settings["interactive"] is False
    assert not any(settings["probe"].values())


def test_offline_is_the_users_own_setting(
    calls: Any, tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    SwanLab().begin(tracked)
    asked = dict(calls)["init"]
    assert asked["settings"]["on_online_error"] == "raise" and "mode" not in asked
    monkeypatch.setenv("SWANLAB_ON_ONLINE_ERROR", "offline")
    calls.clear()
    SwanLab().begin(tracked)
    assert dict(calls)["init"]["settings"]["on_online_error"] == "offline"


def test_the_same_run_goes_on(calls: Any, tracked: TrackedRun) -> None:
    assert SwanLab().begin(replace(tracked, known_as="abc")) == "abc"
    asked = dict(calls)["init"]
    assert (asked["id"], asked["resume"]) == ("abc", "allow")


@pytest.mark.parametrize(
    ("how", "state"), [("finished", "success"), ("failed", "crashed"), ("stopped", "aborted")]
)
def test_steps_scores_and_the_end(how: Any, state: str, calls: Any, tracked: TrackedRun) -> None:
    tracker = SwanLab()
    tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5})
    tracker.conclude(6, {"test/accuracy": 0.75})
    tracker.end(how)
    assert calls[1:] == [
        ("log", (4, {"train/loss": 0.5})),
        ("log", (6, {"test/accuracy": 0.75})),
        ("finish", (state, "the run failed" if how == "failed" else None)),
    ]


def test_its_own_files_take_what_it_is_told(
    tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("swanlab", reason="SwanLab is not installed")
    monkeypatch.setenv("SWANLAB_MODE", "offline")
    monkeypatch.setenv("SWANLAB_LOG_DIR", str(tracked.folder / "swanlog"))
    tracker = SwanLab()
    name = tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5})
    tracker.conclude(4, {"test/accuracy": 0.75})
    tracker.end("finished")
    held = b"".join(
        file.read_bytes()
        for file in (tracked.folder / "swanlog").rglob(f"*{name}*/**/*")
        if file.is_file()
    )
    assert b"train/loss" in held and b"test/accuracy" in held
