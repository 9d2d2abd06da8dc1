"""A long training is rehearsed: what cannot work fails before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import fails
from filling import no_file_beyond
from resuming import Notes, left_by
from spoiling import starve
from support import config_values, session_for
from welltuned.config import run_config_from
from welltuned.runs import Run
from welltuned.training import rehearse
from welltuned.training.session import session
from welltuned.training.train import run_training

FULL = {"type": "full"}


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training is long."""
    monkeypatch.setattr(rehearse, "is_long", lambda session: True)


@pytest.fixture
def asked(tiny: Any, few: str, tmp_path: Path) -> Any:
    """`asked(name, …)`: the config of a run of six steps with dropout, into `tmp_path/name`."""

    def make(name: str, strategy: Any = FULL, **training: Any) -> Any:
        model = tiny("bert", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
        values = config_values(
            model, few, strategy, tmp_path / name, task={"pooling": "mean"},
            training={"num_train_epochs": 1, **training}, evaluation={"untrained": False},
        )  # fmt: skip
        return run_config_from(values)

    return make


@pytest.mark.parametrize("strategy", [FULL, {"type": "gradual"}])
def test_it_changes_no_number_and_leaves_nothing_behind(
    strategy: Any, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_training(asked("plain", strategy))
    monkeypatch.setattr(rehearse, "is_long", lambda session: True)
    notes = Notes()
    rehearsed = run_training(asked("rehearsed", strategy), notes)
    [line] = [note for note in notes.told if note.startswith("rehearsal:")]
    found = rehearsed.results["found"].get("rehearsal")
    assert found and found["batch_size"] == 8 and found["peak_memory_bytes"] > 0
    assert min(found["step_seconds"], found["evaluation_seconds"], found["save_seconds"]) > 0
    assert f"8 x {found['tokens']} tokens" in line
    one, other = left_by(plain), left_by(rehearsed)
    assert one["weights"] == other["weights"] and one["metrics"] == other["metrics"]
    assert sorted(path.name for path in plain.folder.iterdir()) == sorted(
        path.name for path in rehearsed.folder.iterdir()
    )
    assert "Rehearsed before training" in rehearsed.report.read_text()


def test_micro_batches_that_do_not_fit_are_made_smaller_before_the_first_step(
    long: None, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, size=3)
    run = run_training(asked("run"))
    training = run.config["training"]
    assert training["per_device_train_batch_size"] == 2
    assert training["gradient_accumulation_steps"] == 4
    assert "backoffs" not in run.results["training"] and run.results["training"]["steps"] == 6


def test_evaluation_that_does_not_fit_is_found_before_the_first_step(
    long: None, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*arguments: object) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(session, "predict_outputs", out_of_memory)
    with fails("run.out_of_memory", doing="evaluating validation"):
        run_training(config := asked("run"))
    assert not list(Run(Path(config.output_dir)).read_lines("metrics.jsonl"))


def test_a_save_that_does_not_fit_is_found_before_the_first_step(long: None, asked: Any) -> None:
    with no_file_beyond(60_000), fails("run.disk_full"):
        run_training(config := asked("run", eval_strategy="no", load_best_model_at_end=False))
    run = Run(Path(config.output_dir))
    assert not list(run.read_lines("metrics.jsonl")) and not (run.folder / "rehearsal").exists()


def test_only_a_long_training_is_rehearsed(
    tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = session_for(tiny("bert"), few, FULL)
    monkeypatch.setattr(rehearse, "matmul_rate", lambda *_: pytest.fail("measured"))
    assert not rehearse.is_long(short)
    longer = session_for(
        tiny("bert"), few, FULL, training={"max_steps": 10**6, "num_train_epochs": "auto"}
    )
    for rate, long in ((1e10, True), (1e15, False)):
        monkeypatch.setattr(rehearse, "matmul_rate", lambda *_, rate=rate: rate)
        assert rehearse.is_long(longer) is long
