"""A finished run trains for longer, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from resuming import Notes
from support import config_values
from welltuned.config import run_config_from
from welltuned.runs import Run
from welltuned.training.train import extend_training, run_training

STEPS = {"num_train_epochs": 1, "save_steps": 4, "logging_steps": 1}
"""Six steps, saved after the fourth."""


@pytest.fixture
def done(tiny: Any, few: str, tmp_path: Path) -> Run:
    parts = {"task": {"pooling": "mean"}, "training": STEPS}
    values = config_values(tiny("bert"), few, {"type": "full"}, tmp_path / "run", **parts)
    return run_training(run_config_from(values))


def losses(run: Run) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row}


def test_it_goes_on_from_its_last_save_under_another_schedule(done: Run) -> None:
    before = {file: file.read_bytes() for file in done.folder.rglob("*") if file.is_file()}
    notes = Notes()
    longer = extend_training(done.folder, ["training.num_train_epochs=3"], notes)
    assert longer.folder == done.folder.parent / "run-extended" and longer.is_finished
    assert longer.results["training"]["steps"] == 18
    was, now = losses(done), losses(longer)
    assert sorted(now) == list(range(1, 19))
    assert [now[step] for step in range(1, 5)] == [was[step] for step in range(1, 5)]
    rates = {
        r["step"]: r["learning_rate"] for r in longer.read_lines("metrics.jsonl") if "loss" in r
    }
    assert rates[5] > rates[4], "the rate of step 5 of 18, after that of step 4 of 6"
    assert [line for line in notes.told if "after step 4 of 6" in line and "schedule" in line]
    assert {file: file.read_bytes() for file in before} == before


def test_only_for_longer(done: Run) -> None:
    with refused("run.not_longer", taken=6, total=6):
        extend_training(done.folder, ["training.num_train_epochs=1"])
    with refused("run.extended_otherwise", keys="training.learning_rate"):
        extend_training(done.folder, ["training.num_train_epochs=3", "training.learning_rate=0.5"])
    assert not (done.folder.parent / "run-extended").exists()


def test_best_weights_that_were_found_after_the_last_save_are_not_its_own(
    tiny: Any, few: str, tmp_path: Path
) -> None:
    """The finished run keeps those of step 6 alone, and what goes on from step 4 has none yet."""
    training = {**STEPS, "eval_strategy": "steps", "eval_steps": 2}
    parts = {"task": {"pooling": "mean"}, "training": training}
    values = config_values(tiny("bert"), few, {"type": "full"}, tmp_path / "run", **parts)
    run = run_training(run_config_from(values))
    [kept] = run.checkpoints.iterdir()
    later = kept.rename(kept.with_name("step-6"))  # as if that had been the better one
    notes = Notes()
    longer = extend_training(run.folder, ["training.num_train_epochs=2"], notes)
    assert [line for line in notes.told if "found better ones later" in line]
    step = longer.results["training"]["best_step"]
    assert later.exists() and step is not None and step >= 4
    [best] = longer.checkpoints.iterdir()
    assert best.name == f"step-{step}"
