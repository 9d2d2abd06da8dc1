"""Forecasts beside what runs really took."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import STRATEGIES, tune
from welltuned.runs import Run
from welltuned.training.forecast.accuracy import ForecastCheck, ForecastChecks, check_forecasts


@pytest.fixture(scope="module")
def run(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("checked") / "run"
    training = {"max_steps": 3, "num_train_epochs": "auto"}
    parts = {"task": {"pooling": "mean"}, "training": training}
    return tune(tiny("bert"), sentiment, STRATEGIES["lora"], folder, **parts)


@pytest.mark.usefixtures("known")
def test_a_finished_run_is_forecast_by_its_own_config(run: Run) -> None:
    cost = run.results["cost"]
    assert "predicted" not in cost  # whoever waits for a run does not wait for that
    (found,) = check_forecasts(run.folder.parent, lambda *_: None).runs
    assert found.strategy == "lora" and found.predicted["time"] > 0
    assert found.predicted["memory"] > cost["memory_at_start_bytes"] > 0
    weights = sum(file.stat().st_size for file in run.model.glob("*.safetensors"))
    expected = pytest.approx(found.predicted["disk"], abs=max(40_000, weights))
    assert cost["artifact_bytes"] == found.measured["disk"] == expected


@pytest.mark.usefixtures("known")
def test_the_command_tells_the_errors(call: Any, run: Run) -> None:
    status, out, err = call("plan", "--check", run.folder.parent)
    assert status == 0, err
    assert "median error" in out and str(run.folder) in out and "lora" in out
    found = json.loads(call("plan", "--check", run.folder.parent, "--json")[1])
    (pair,) = found["runs"]
    assert pair["measured"]["time"] == run.results["cost"]["train_seconds"]
    assert {row["quantity"] for row in found["accuracy"]} == {"memory", "time", "disk"}


@pytest.mark.usefixtures("known")
def test_what_cannot_be_forecast_here_is_left_out_with_a_reason(
    call: Any, run: Run, tmp_path: Path
) -> None:
    for name in ("here", "moved", "elsewhere"):
        shutil.copytree(run.folder, tmp_path / name)
    config = (tmp_path / "moved" / "config.yaml").read_text(encoding="utf-8")
    (tmp_path / "moved" / "config.yaml").write_text(config.replace("sentiment.jsonl", "gone.jsonl"))
    environment = {**run.read("environment.json"), "cpu": "another"}
    (tmp_path / "elsewhere" / "environment.json").write_text(json.dumps(environment))
    found = check_forecasts(tmp_path, lambda *_: None)
    assert [one.run for one in found.runs] == [str(tmp_path / "here")]
    assert "another" in found.left_out[str(tmp_path / "elsewhere")]
    assert "gone.jsonl" in found.left_out[str(tmp_path / "moved")]
    status, out, _ = call("plan", "--check", tmp_path)
    assert status == 0 and out.count("left out") == 2
    shutil.rmtree(tmp_path / "here")
    with refused("plan.no_forecasts", place=str(tmp_path)):
        check_forecasts(tmp_path, lambda *_: None)


def test_a_folder_without_forecasts_is_one_line(call: Any, tmp_path: Path) -> None:
    with refused("plan.no_forecasts", place=str(tmp_path)):
        check_forecasts(tmp_path, lambda *_: None)
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
    memory = next(ForecastChecks(pairs, {}).accuracy())
    assert (memory.runs, memory.worst_run) == (4, "3")
    assert memory.worst == pytest.approx(1.0) and memory.median == pytest.approx(0.15)
    assert memory.within[0.15] == 0.5 and memory.within[0.25] == 0.75
