"""What the runs of all folds come to, from their folders alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from welltuned.experiments.cross_validation.pool_runs import pooled_rows, pooled_test, write_whole
from welltuned.runs import Run
from welltuned.runs.results_schema import RunResults

TASK: dict[str, Any] = {"predictions": "single_label", "labels": ["bad", "good"]}
PROOF = {
    "frozen_weights": 2, "frozen_moved": 0, "trainable_weights": 1, "trainable_moved": 1,
    "all_finite": True, "reloaded_examples": 4, "reloaded_difference": 1e-7,
}  # fmt: skip
ASKED = {
    "kind": "loss", "before": 1.0, "after": 1.5, "why": "text", "source": "general", "examples": 9
}  # fmt: skip


def results_of(score: float, seconds: float) -> dict[str, Any]:
    return {
        "test": {"accuracy": score, "accuracy_ci95": [0.0, 1.0], "confusion": [[1, 1], [0, 2]]},
        "train": {"accuracy": 1.0},
        "validation": {"accuracy": score - 0.1, "per_class": {}},
        "baselines": {"majority": {"accuracy": 0.5}},
        "parameters": {"total": 10, "trainable": 4},
        "cost": {
            "train_seconds": seconds,
            "examples_per_second": 8.0,
            "tokens_per_second": 64.0,
            "peak_memory_bytes": int(100 * seconds),
            "artifact_bytes": 7,
            "phases": {"train": seconds, "test": 1.0},
        },
        "training": {"steps": 6, "epochs": 1.0, "best_step": 3, "stopped_early": False},
        "choices": ["training.learning_rate = 0.1 (usual)"],
        "metric": "accuracy",
        "proof": PROOF,
        "retention": {
            "general": {**ASKED, "kept": score},
            **{"kept": score, "kept_ci95": [score - 0.25, 1.0], "decided_by": "general"},
        },
        "diagnosis": {"verdict": "healthy", "finding": None},
    }


def made(folder: Path, name: str, right: list[bool], score: float, seconds: float) -> Run:
    run = Run(folder / name)
    run.folder.mkdir(parents=True)
    rows = [
        {
            "id": f"{name}:{i}",
            "label": TASK["labels"][i % 2],
            "prediction": TASK["labels"][(i + (not is_right)) % 2],
            "probabilities": {"bad": 0.5, "good": 0.5},
        }
        for i, is_right in enumerate(right)
    ]
    run.write_lines("predictions.jsonl", rows)
    run.write("results.json", results_of(score, seconds))
    run.write("data.json", {"task": TASK})
    run.write("environment.json", {"device": "cpu", "command": None})
    return run


@pytest.fixture
def folds(tmp_path: Path) -> list[Run]:
    return [
        made(tmp_path, "folds/0", [True, True, True, False], 0.75, 1.0),
        made(tmp_path, "folds/1", [True, False, False, False], 0.25, 3.0),
    ]


@pytest.fixture
def whole(folds: list[Run], tmp_path: Path) -> Run:
    run = Run(tmp_path)
    run.write("start.json", {"command": "welltuned train a.yaml"})
    final = made(tmp_path, "final", [True], 0.9, 4.0)
    write_whole(run, folds, final, [{"seconds": 5.0, "cpu_seconds": 2.0, "run": "folds/0"}])
    return run


def test_every_answer_is_there_with_its_fold(folds: list[Run]) -> None:
    rows = pooled_rows(folds)
    assert [row["fold"] for row in rows] == [0] * 4 + [1] * 4
    assert rows[5]["id"] == "folds/1:1"
    assert pooled_test(rows, folds, TASK)["accuracy"] == 0.5


def test_scores_are_of_all_answers_together_and_the_rest_are_means(whole: Run) -> None:
    results = whole.results
    assert results["test"]["accuracy"] == 0.5 and len(results["test"]["accuracy_ci95"]) == 2
    assert results["test"]["confusion"] == [[3, 1], [3, 1]]
    assert results["validation"] == {"accuracy": pytest.approx(0.4)}
    assert results["baselines"] == {"majority": {"accuracy": 0.5}}
    assert results["retention"]["general"] == {**ASKED, "kept": 0.5}
    assert (results["retention"]["kept"], results["retention"]["kept_ci95"]) == (0.5, [0.25, 1.0])
    assert results["training"]["steps"] == 6 and results["training"]["best_step"] is None


def test_cost_is_that_of_one_training_and_phases_are_of_all(whole: Run) -> None:
    cost = whole.results["cost"]
    assert (cost["train_seconds"], cost["peak_memory_bytes"]) == (2.0, 300)
    assert cost["phases"] == {"train": 8.0, "test": 3.0}
    assert cost["before_resuming"] == {"seconds": 5.0, "cpu_seconds": 2.0}
    assert whole.results["cross_validation"]["train_seconds"] == 8.0


def test_folds_and_the_final_run_are_named_as_seen_from_the_folder(whole: Run) -> None:
    found = whole.results["cross_validation"]
    assert [fold["run"] for fold in found["folds"]] == ["folds/0", "folds/1"]
    assert [fold["examples"] for fold in found["folds"]] == [4, 4]
    assert found["folds"][1]["scores"] == {"accuracy": 0.25}
    assert (found["examples"], found["final"]) == (8, "final")
    assert whole.results["proof"]["reloaded_examples"] == 12
    assert whole.results["diagnosis"]["verdict"] == "healthy"
    assert whole.read("environment.json")["command"] == "welltuned train a.yaml"


def test_the_results_are_of_the_schema(whole: Run) -> None:
    TypeAdapter(RunResults).validate_python(whole.read("results.json"))
