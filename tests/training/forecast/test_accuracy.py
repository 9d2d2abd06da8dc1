"""Forecasts beside what runs really took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import STRATEGIES, tune
from welltuned.runs import Run
from welltuned.training.forecast.accuracy import ForecastCheck, read_pairs, summarise_accuracy


@pytest.fixture(scope="module")
def run(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("checked") / "run"
    training = {"max_steps": 3, "num_train_epochs": "auto"}
    parts = {"task": {"pooling": "mean"}, "training": training}
    return tune(tiny("bert"), sentiment, STRATEGIES["lora"], folder, **parts)


def test_a_run_keeps_what_was_foreseen_beside_what_it_took(run: Run) -> None:
    cost = run.results["cost"]
    assert {"memory_bytes", "train_seconds", "artifact_bytes", "memory"} == set(cost["predicted"])
    assert cost["predicted"]["memory_bytes"] > 0 < cost["predicted"]["train_seconds"]
    page = run.report.read_text(encoding="utf-8")
    assert "forecast" in page


def test_the_artifact_is_as_large_as_foreseen(run: Run) -> None:
    cost = run.results["cost"]
    weights = sum(file.stat().st_size for file in run.model.glob("*.safetensors"))
    assert cost["artifact_bytes"] == pytest.approx(
        cost["predicted"]["artifact_bytes"], abs=max(40_000, weights)
    )


def test_the_command_tells_the_errors(call: Any, run: Run) -> None:
    status, out, err = call("plan", "--check", run.folder.parent)
    assert status == 0, err
    assert "median error" in out and str(run.folder) in out and "lora" in out
    found = json.loads(call("plan", "--check", run.folder.parent, "--json")[1])
    (pair,) = found["runs"]
    assert pair["measured"]["time"] == run.results["cost"]["train_seconds"]
    assert {row["quantity"] for row in found["accuracy"]} == {"memory", "time", "disk"}


def test_a_folder_without_forecasts_is_one_line(call: Any, tmp_path: Path) -> None:
    with refused("plan.no_forecasts", place=str(tmp_path)):
        read_pairs(tmp_path)
    status, out, err = call("plan", "--check", tmp_path)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1


def test_more_than_a_folder_is_refused(call: Any, tmp_path: Path) -> None:
    status, _, err = call("plan", "--check", tmp_path, "training.seed=1")
    assert status == 2 and "one folder of runs" in err


def test_errors_are_summed_up() -> None:
    pairs = [
        ForecastCheck(str(i), "lora", {"memory": p, "time": p, "disk": 1.0}, dict.fromkeys(
            ("memory", "time", "disk"), 1.0))
        for i, p in enumerate((1.1, 0.9, 1.2, 2.0))
    ]  # fmt: skip
    memory = summarise_accuracy(pairs)[0]
    assert (memory.runs, memory.worst_run) == (4, "3")
    assert memory.worst == pytest.approx(1.0) and memory.median == pytest.approx(0.15)
    assert memory.within[0.15] == 0.5 and memory.within[0.25] == 0.75
