"""What trackers are told: numbers of lines and results, and the names of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from welltuned.training.trackers.numbers import final_numbers, lasting, named, numbers_of, step_of


def test_numbers_of_a_line_stand_under_its_split() -> None:
    row = {"step": 4, "split": "validation", "accuracy": 0.5, "best": True, "epoch": 1.0}
    assert numbers_of(row) == {"validation/accuracy": 0.5, "validation/epoch": 1.0}
    assert step_of(row) == 4


@pytest.mark.parametrize(
    "more",
    [{"change": "block 1 trains"}, {"warning": {"fault": "spiked"}}, {"loss": float("nan")}],
)
def test_what_is_no_number_is_not_told(more: dict[str, Any]) -> None:
    assert numbers_of({"step": 4, "split": "train", **more}) == {}


def test_lines_are_the_same_whatever_the_clock_says() -> None:
    row = {"step": 4, "split": "train", "loss": 0.5, "seconds": 1.0, "examples_per_second": 9.0}
    assert lasting(row) == lasting({**row, "seconds": 2.0, "examples_per_second": 3.0})
    assert lasting(row) != lasting({**row, "loss": 0.25})
    assert lasting(row) != lasting({**row, "step": 5})


def test_results_come_with_the_ends_of_their_intervals_and_the_cost() -> None:
    results = {
        "test": {"accuracy": 0.75, "accuracy_ci95": [0.5, 1.0], "per_class": {"a": 1}},
        "validation": {"accuracy": 0.5, "accuracy_ci95": None},
        "cost": {"train_seconds": 3.0, "phases": {}, "artifact_bytes": 10},
    }
    assert final_numbers(results) == {
        "test/accuracy": 0.75,
        "test/accuracy_ci95_low": 0.5,
        "test/accuracy_ci95_high": 1.0,
        "final_validation/accuracy": 0.5,
        "cost/train_seconds": 3.0,
        "cost/artifact_bytes": 10.0,
    }


def test_a_sealed_test_split_has_no_numbers() -> None:
    assert final_numbers({"validation": {"accuracy": 0.5}}) == {"final_validation/accuracy": 0.5}


# --- Names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "folder", "name", "group"),
    [
        ([], "runs/mine", "mine", None),
        (["reviews/comparison.json"], "reviews/cells/lora/seed-1", "lora-seed-1", "reviews"),
        (["sweep/.locks/trials"], "sweep/trials/3", "trials-3", "sweep"),
        (["cv/status.json", "cv/config.yaml"], "cv/folds/0", "folds-0", "cv"),
        (["rlhf/status.json", "rlhf/config.yaml"], "rlhf/stages/sft", "stages-sft", "rlhf"),
        (["status.json"], "runs/mine", "mine", None),
        (
            ["reviews/comparison.json", "reviews/tuning/lora/.locks/trials"],
            "reviews/tuning/lora/trials/3",
            "tuning-lora-trials-3",
            "reviews",
        ),
        (
            ["all/comparison.json", "all/cells/a/seed-0/status.json"],
            "all/cells/a/seed-0/folds/1",
            "a-seed-0-folds-1",
            "all",
        ),
    ],
)
def test_runs_of_one_question_are_a_group(
    marks: list[str], folder: str, name: str, group: str | None, tmp_path: Path
) -> None:
    for mark in marks:
        file = tmp_path / mark
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    assert named(tmp_path / folder) == (name, group)
