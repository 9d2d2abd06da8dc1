"""Trackers hear what a run writes down, on either engine, and none can do it harm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hearing import lines_of, logged, without_clock
from resuming import Killed, Killing, Notes, Signalling
from welltuned.errors import Stopped
from welltuned.runs import Run
from welltuned.training.observer import Observer
from welltuned.training.trackers.numbers import final_numbers
from welltuned.training.trackers.tracking import Tracking
from welltuned.training.train import (
    extend_training,
    resume_training,
    run_training,
    train_or_resume,
)


@pytest.mark.parametrize("engine", ["torch", "hf"])
def test_a_tracker_is_told_all_that_the_run_writes_down(
    engine: str, asked: Any, heard: Any
) -> None:
    run = run_training(asked("run", engine=engine))
    (_, begun), *told, (_, last, final), end = heard.events
    assert (begun.name, begun.group, begun.known_as) == ("run", None, None)
    assert begun.config == run.config and begun.config["training"]["report_to"] == ["tensorboard"]
    assert told == lines_of(run) and {step for _, step, _ in told} == {1, 2, 4, 6}
    assert final == final_numbers(run.results) and final["test/accuracy"] >= 0
    assert (last, end) == (6, ("end", "finished"))
    assert run.read("trackers.json") == {"tensorboard": {"run": "its-name", "failed": None}}


def test_a_run_that_reports_to_nobody_leaves_nothing(asked: Any, heard: Any) -> None:
    run = run_training(asked("run", {"report_to": [], "max_steps": 1}))
    assert heard.events == [] and not (run.folder / "trackers.json").exists()


def test_both_ways_come_to_the_same_numbers(asked: Any, heard: Any) -> None:
    """A tracker changes nothing of the run."""
    told = run_training(asked("told"))
    alone = run_training(asked("alone", {"report_to": []}))
    assert without_clock(lines_of(told)) == without_clock(lines_of(alone))
    assert told.results["test"] == alone.results["test"]


# --- A tracker that fails ------------------------------------------------------------


@pytest.mark.parametrize("at", ["begin", "log", "conclude", "end"])
def test_one_that_fails_is_told_of_once_and_dropped(at: str, asked: Any, heard: Any) -> None:
    heard.fails_at, notes = at, Notes()
    run = run_training(asked("run", {"max_steps": 2}), notes)
    (told,) = [note for note in notes.told if note.startswith("tensorboard is told nothing more")]
    assert "RuntimeError: no route to" in told and "hf_Planted" not in told
    assert run.is_finished and "accuracy" in run.results["test"]
    assert "RuntimeError" in run.read("trackers.json")["tensorboard"]["failed"]
    assert at not in {what for what, *_ in heard.events}


def test_the_others_go_on(asked: Any, heard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(heard):  # type: ignore[misc]
        def log(self, step: int, numbers: Any) -> None:
            raise SystemExit(1)

    trackers = {"tensorboard": Failing, "mlflow": heard}
    monkeypatch.setattr("welltuned.training.trackers.tracking.TRACKERS", trackers)
    monkeypatch.setattr(
        "welltuned.training.preparation.checks.check_trackers", lambda names, faults: None
    )
    run = run_training(asked("run", {"report_to": ["tensorboard", "mlflow"], "max_steps": 2}))
    assert logged(heard.events) == lines_of(run)
    record = run.read("trackers.json")
    assert (record["mlflow"]["failed"], record["tensorboard"]["failed"]) == (
        None,
        "SystemExit: 1",
    )


def test_it_neither_reads_standard_input_nor_writes_to_standard_output(
    tmp_path: Path, heard: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(self: Any, step: int, numbers: Any) -> None:
        print("hello")
        assert input("your key? ")

    monkeypatch.setattr(heard, "log", log)
    notes: list[str] = []
    before = sys.stdin
    tracking = Tracking(Run(tmp_path), ["tensorboard"], notes.append)
    tracking.told({"step": 1, "split": "train", "loss": 0.5})
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("hello")
    assert "EOFError" in notes[0] and sys.stdin is before


# --- A run that does not come to its end ---------------------------------------------


def test_the_same_run_goes_on_after_an_interruption(asked: Any, heard: Any) -> None:
    """What it was told before, and comes again as it was, it is not told twice."""
    with pytest.raises(Killed):
        run_training(asked("other"), Killing(5))
    assert heard.events[-1] == ("end", "failed")
    run = resume_training(Path(asked("other").output_dir))
    begun = [told for what, told, *_ in heard.events if what == "begin"]
    assert [one.known_as for one in begun] == [None, "its-name"]
    assert without_clock(logged(heard.events)) == without_clock(lines_of(run))
    assert heard.events[-1] == ("end", "finished")


def test_a_signal_ends_it_as_stopped(asked: Any, heard: Any) -> None:
    with pytest.raises(Stopped):
        run_training(asked("run"), Signalling(3))
    assert heard.events[-1] == ("end", "stopped")


def test_one_that_comes_later_is_told_what_it_has_missed(asked: Any, heard: Any) -> None:
    with pytest.raises(Killed):
        run_training(asked("other", {"report_to": []}), Killing(5))
    folder = Path(asked("other").output_dir)
    run = resume_training(folder, overrides=["training.report_to=[tensorboard]"])
    assert without_clock(logged(heard.events)) == without_clock(lines_of(run))


def test_a_stage_that_goes_on_tells_whom_it_is_asked_to_now(asked: Any, heard: Any) -> None:
    with pytest.raises(Killed):
        run_training(asked("other", {"report_to": []}), Killing(5))
    run = train_or_resume(asked("other"), Observer(), None, None)
    assert run.config["training"]["report_to"] == ["tensorboard"]
    assert without_clock(logged(heard.events)) == without_clock(lines_of(run))


def test_a_run_that_trains_for_longer_is_one_of_its_own(asked: Any, heard: Any) -> None:
    """With the curve of the one before, so far as it goes on from it."""
    run = run_training(asked("run"))
    heard.events.clear()
    longer = extend_training(run.folder, ["training.max_steps=8"])
    begun = heard.events[0][1]
    assert (begun.name, begun.known_as) == ("run-extended", None)
    assert without_clock(logged(heard.events)) == without_clock(lines_of(longer))


def test_a_damaged_record_begins_a_new_run(tmp_path: Path, heard: Any) -> None:
    (tmp_path / "trackers.json").write_text("{")
    (tmp_path / "config.yaml").write_text("model: m\n")
    Tracking(Run(tmp_path), ["tensorboard"], print).begin()
    assert heard.events[0][1].known_as is None
    assert json.loads((tmp_path / "trackers.json").read_text())["tensorboard"]["run"] == "its-name"
