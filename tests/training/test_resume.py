"""Resuming a run: again and again, with what it had skipped, and what is refused.

That it is exact, for every strategy, engine and task, is a matter of `contracts/test_resume.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faults import fails, refused
from resuming import Killed, Killing, Notes, Signalling, differing, left_by
from spoiling import reads, spoil, starve
from support import STRATEGIES, config_values, job_for
from welltuned.config import run_config_from
from welltuned.data.config import DataConfig
from welltuned.errors import Stopped
from welltuned.runs import Run
from welltuned.runs.ownership import owned
from welltuned.training.train import resume_training, run_training

STEPS = {"num_train_epochs": 2, "gradient_accumulation_steps": 2, "logging_steps": 3}
"""Six steps of two micro-batches, three an epoch; the last of an epoch is smaller."""
SAVES = {"save_steps": 2}


@pytest.fixture
def asked(tiny: Any, few: str, tmp_path: Path) -> Any:
    """`asked(name, …)`: the config of a run into `tmp_path/name`."""

    def make(name: str, strategy: str = "full", training: Any = None, **parts: Any) -> Any:
        parts = {"task": {"pooling": "mean"}, **parts, "training": {**STEPS, **(training or {})}}
        values = config_values(tiny("bert"), few, STRATEGIES[strategy], tmp_path / name, **parts)
        return run_config_from(values)

    return make


def interrupted(config: Any, observer: Any) -> Run:
    with pytest.raises((Killed, Stopped)):
        run_training(config, observer)
    return Run(Path(config.output_dir))


@pytest.fixture
def whole(asked: Any) -> Callable[..., dict[str, Any]]:
    """`whole("lora", …)`: what such a run leaves that is never interrupted."""

    def make(*which: Any, **parts: Any) -> dict[str, Any]:
        return left_by(run_training(asked("whole", *which, **parts)))

    return make


def test_it_may_be_interrupted_again_and_again(asked: Any, whole: Any) -> None:
    run = interrupted(asked("other"), Signalling(1))
    for step in (2, 4, 5):
        with pytest.raises(Stopped):
            resume_training(run.folder, Signalling(step))
        assert run.state == "stopped"
    assert not differing(left_by(resume_training(run.folder)), whole())


@pytest.mark.parametrize("engine", ["torch", "hf"])
def test_the_count_of_skipped_steps_goes_on(
    engine: str, asked: Any, whole: Any, tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of each of two epochs is no number."""
    training = {**SAVES, "max_skipped_steps": 2}
    examples = job_for(tiny("bert"), few, STRATEGIES["full"], training=STEPS).examples
    spoil(monkeypatch, "loss", reads(examples, 0))
    run = interrupted(asked("other", training=training, engine=engine), Signalling(3))
    assert run.status["skipped_steps"] == 1
    resumed = resume_training(run.folder)
    assert not differing(left_by(resumed), whole(training=training, engine=engine))
    assert resumed.results["training"]["skipped_steps"] == resumed.status["skipped_steps"] == 2
    skipped = [row["step"] for row in resumed.read_lines("metrics.jsonl") if "skipped" in row]
    files = {f"step-{step}.json" for step in skipped}
    assert {file.name for file in resumed.not_finite.iterdir()} == files and len(files) == 2
    assert resumed.read(f"not_finite/step-{skipped[0]}.json")["loss"] == "nan"
    assert "Steps not taken" in resumed.report.read_text()


def test_a_training_whose_memory_ran_out_goes_on_as_it_was(
    asked: Any, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the small micro-batches that it had by then, not in those of its config."""
    starve(monkeypatch, size=5)
    run = interrupted(asked("other"), Signalling(4))
    assert run.status["micro_batch_size"] == 4
    resumed = resume_training(run.folder)
    assert resumed.results["training"]["backoffs"] == [{"step": 1, "size": 4}]
    assert [row["step"] for row in resumed.read_lines("metrics.jsonl") if "micro_batch_size" in row]
    assert "Memory ran out" in resumed.report.read_text()
    assert not differing(left_by(resumed), whole())


def test_one_skipped_step_before_and_one_after_are_two(
    asked: Any, tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = job_for(tiny("bert"), few, STRATEGIES["full"], training=STEPS).examples
    spoil(monkeypatch, "loss", reads(examples, 0))
    run = interrupted(asked("other", training={"max_skipped_steps": 1}), Signalling(3))
    with fails("training.not_finite", quantity="loss"):
        resume_training(run.folder)
    assert run.state == "failed" and "not_finite" in str(run.status["error"])


# --- What it refuses --------------------------------------------------------------


def test_a_finished_run_is_not_resumed(asked: Any) -> None:
    run = run_training(asked("whole"))
    with refused("run.finished_already", place=str(run.folder)):
        resume_training(run.folder)


def test_a_changed_config_is_refused_by_key(asked: Any) -> None:
    run = interrupted(asked("other"), Signalling(2))
    values = {**run.config, "training": {**run.config["training"], "learning_rate": 0.5}}
    run.write("config.yaml", values)
    with refused("run.config_changed", key="training.learning_rate"):
        resume_training(run.folder)
    with refused("run.config_changed", key="training.learning_rate"):
        resume_training(run.folder, overrides=["training.seed=0"])
    resumed = resume_training(run.folder, accepted=["training.learning_rate"])
    rates = [row["learning_rate"] for row in resumed.read_lines("metrics.jsonl") if "loss" in row]
    assert max(rates[:1]) <= 1e-2 < max(rates)


def test_what_is_changed_by_name_is_accepted(asked: Any) -> None:
    run = interrupted(asked("other"), Signalling(2))
    resumed = resume_training(run.folder, overrides=["training.logging_steps=1"])
    assert resumed.is_finished and resumed.config["training"]["logging_steps"] == 1


def test_changed_data_are_refused(asked: Any, few: str, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = Path(few).read_text().splitlines(keepends=True)
    data.write_text("".join(rows))
    config = asked("other").model_copy(update={"data": DataConfig(train=str(data))})
    run = interrupted(config, Signalling(2))
    data.write_text("".join(rows[1:]))
    with refused("run.data_changed"):
        resume_training(run.folder)
    assert resume_training(run.folder, accepted=["data"]).is_finished


def test_the_same_command_says_how_to_go_on(asked: Any, tmp_path: Path) -> None:
    interrupted(asked("other"), Signalling(2))
    with refused("run.interrupted_here", step=1):
        run_training(asked("other"))
    with refused("run.folder_in_use"):
        run_training(asked("other", training={"learning_rate": 0.5}))


def test_so_it_does_where_no_folder_is_named(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new run begins then, for nobody said that it should not."""
    monkeypatch.chdir(tmp_path)
    config = asked("other", training={"max_steps": 2, "num_train_epochs": "auto"})
    config = config.model_copy(update={"output_dir": None})
    with pytest.raises(Stopped):
        run_training(config, Signalling(1))
    notes = Notes()
    again = run_training(config, notes)
    [line] = [line for line in notes.told if "unfinished" in line]
    assert f"`welltuned resume {again.folder.parent / again.name[:-2]}`" in line
    assert again.is_finished and again.name.endswith("-2")


def test_a_stop_says_how_to_go_on(asked: Any, tmp_path: Path) -> None:
    with pytest.raises(Stopped) as stop:
        run_training(asked("other"), Signalling(2))
    line = f"`welltuned resume {tmp_path / 'other'}` goes on after step 2"
    assert stop.value.faults[0].remedy == line


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(asked: Any, whole: Any) -> None:
    run = interrupted(asked("other", training=SAVES), Killing(5))
    assert sorted(path.name for path in run.snapshots.iterdir()) == ["step-2", "step-4"]
    file = run.snapshots / "step-4" / "optimizer.safetensors"
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    notes = Notes()
    assert not differing(left_by(resume_training(run.folder, notes)), whole(training=SAVES))
    assert [note for note in notes.told if "step-4 is damaged" in note]
    assert "it goes on after step 2" in notes.told


def test_two_processes_do_not_share_a_folder(asked: Any, tmp_path: Path) -> None:
    run = interrupted(asked("other"), Signalling(2))
    assert not run.was_killed
    with owned(run.folder):
        with refused("run.owned_by_another", owner=str(os.getpid())):
            resume_training(run.folder)
        run.set_status("running", 1)
        assert not run.was_killed
    assert run.was_killed
