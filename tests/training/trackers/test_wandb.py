"""What Weights & Biases is told, by calls of its documented interface."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.training.trackers import TrackedRun
from welltuned.training.trackers.wandb import WeightsAndBiases


@pytest.fixture
def calls(stand_in: Any) -> list[tuple[str, Any]]:
    """What a stand-in for the package was called with."""
    calls: list[tuple[str, Any]] = []

    def note(name: str) -> Any:
        return lambda *given, **named: calls.append((name, (*given, *sorted(named.items()))))

    run = SimpleNamespace(
        log=note("log"),
        define_metric=note("define_metric"),
        summary=SimpleNamespace(update=note("summary")),
        finish=note("finish"),
    )

    def init(**named: Any) -> Any:
        calls.append(("init", named))
        return run

    stand_in("wandb", init=init, Settings=lambda **named: named)
    return calls


def test_a_cell_is_a_run_of_a_group(calls: Any, tracked: TrackedRun) -> None:
    name = WeightsAndBiases().begin(tracked)
    asked = dict(calls)["init"]
    assert (asked["name"], asked["group"], asked["id"]) == ("lora-seed-1", "reviews", name)
    assert asked["config"] == tracked.config and asked["project"] == "welltuned"


def test_it_takes_neither_output_nor_command_line_nor_code(calls: Any, tracked: TrackedRun) -> None:
    WeightsAndBiases().begin(tracked)
    settings = dict(calls)["init"]["settings"]
    assert settings["console"] == "off" and settings["save_code"] is False
    assert settings["x_disable_meta"] and settings["disable_git"] and settings["disable_code"]
    assert "mode" not in {**settings, **dict(calls)["init"]}, "that is the user's own setting"


def test_the_same_run_goes_on(calls: Any, tracked: TrackedRun) -> None:
    assert WeightsAndBiases().begin(replace(tracked, known_as="abc")) == "abc"
    asked = dict(calls)["init"]
    assert (asked["id"], asked["resume"]) == ("abc", "allow")


def test_its_own_project_wins(
    calls: Any, tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WeightsAndBiases().begin(tracked)
    assert dict(calls)["init"]["project"] == "mine"


@pytest.mark.parametrize(("how", "status"), [("finished", 0), ("failed", 1), ("stopped", 1)])
def test_steps_scores_and_the_end(how: Any, status: int, calls: Any, tracked: TrackedRun) -> None:
    tracker = WeightsAndBiases()
    tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5})
    tracker.conclude(4, {"test/accuracy": 0.75})
    tracker.end(how)
    assert calls[-3:] == [
        ("log", ({"step": 4, "train/loss": 0.5},)),
        ("summary", ({"test/accuracy": 0.75},)),
        ("finish", (("exit_code", status),)),
    ]


def test_its_own_files_take_what_it_is_told(
    tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tracked.folder))
    tracker = WeightsAndBiases()
    name = tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5})
    tracker.conclude(4, {"test/accuracy": 0.75})
    tracker.end("finished")
    assert list(tracked.folder.rglob(f"run-{name}.wandb"))
