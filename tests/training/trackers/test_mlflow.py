"""What MLflow is told: by calls of its client, and in a store of its own where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.training.trackers import TrackedRun
from welltuned.training.trackers.mlflow import MLflow


class Client:
    """As `mlflow.MlflowClient`, with one experiment at most."""

    def __init__(self, calls: list[tuple[str, Any]], experiment: str | None) -> None:
        self._calls, self._experiment = calls, experiment

    def get_experiment_by_name(self, name: str) -> Any:
        found = self._experiment
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name: str) -> str:
        self._calls.append(("create_experiment", name))
        return "7"

    def create_run(self, experiment_id: str, run_name: str, tags: dict[str, str]) -> Any:
        self._calls.append(("create_run", (experiment_id, run_name, tags)))
        return SimpleNamespace(info=SimpleNamespace(run_id="abc"))

    def update_run(self, run_id: str, status: str) -> None:
        self._calls.append(("update_run", (run_id, status)))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self._calls.append(("metrics" if metrics else "params", (run_id, *metrics, *params)))

    def set_terminated(self, run_id: str, status: str) -> None:
        self._calls.append(("set_terminated", (run_id, status)))


@pytest.fixture
def calls(stand_in: Callable[..., Any]) -> Callable[..., list[tuple[str, Any]]]:
    """`calls(experiment="3")`: what a stand-in for the package will be called with."""

    def make(experiment: str | None = None) -> list[tuple[str, Any]]:
        calls: list[tuple[str, Any]] = []
        stand_in("mlflow", MlflowClient=lambda: Client(calls, experiment), __path__=[])
        stand_in("mlflow.exceptions", MlflowException=RuntimeError)
        metric = lambda key, value, timestamp, step: (key, value, step)  # noqa: E731
        stand_in("mlflow.entities", Metric=metric, Param=lambda key, value: (key, value))
        return calls

    return make


def test_a_cell_is_a_run_of_a_group(calls: Any, tracked: TrackedRun) -> None:
    told = calls()
    assert MLflow().begin(tracked) == "abc"
    assert told == [
        ("create_experiment", "welltuned"),
        ("create_run", ("7", "lora-seed-1", {"welltuned.group": "reviews"})),
        ("params", ("abc", ("model.name", "m"), ("training.learning_rate", "0.1"))),
    ]


def test_an_experiment_that_is_there_is_taken(calls: Any, tracked: TrackedRun) -> None:
    told = calls(experiment="3")
    MLflow().begin(replace(tracked, group=None))
    assert told[0] == ("create_run", ("3", "lora-seed-1", {}))


def test_its_own_experiment_wins(
    calls: Any, tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    told = calls()
    MLflow().begin(tracked)
    assert told[0] == ("create_experiment", "mine")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "12")
    told = calls()
    MLflow().begin(tracked)
    assert told[0][1][0] == "12"


def test_the_same_run_goes_on_with_the_parameters_that_it_has(
    calls: Any, tracked: TrackedRun
) -> None:
    told = calls()
    assert MLflow().begin(replace(tracked, known_as="abc")) == "abc"
    assert told == [("update_run", ("abc", "RUNNING"))]


@pytest.mark.parametrize(
    ("how", "status"), [("finished", "FINISHED"), ("failed", "FAILED"), ("stopped", "KILLED")]
)
def test_steps_scores_and_the_end(how: Any, status: str, calls: Any, tracked: TrackedRun) -> None:
    told, tracker = calls(), MLflow()
    tracker.begin(tracked)
    tracker.log(4, {"train/loss": 0.5, "validation/f1 (β=2)": 0.25})
    tracker.conclude(6, {"test/accuracy": 0.75})
    tracker.end(how)
    assert told[-3:] == [
        ("metrics", ("abc", ("train/loss", 0.5, 4), ("validation/f1 _β_2_", 0.25, 4))),
        ("metrics", ("abc", ("test/accuracy", 0.75, 6))),
        ("set_terminated", ("abc", status)),
    ]


def test_settings_are_told_by_the_hundred_and_cut(calls: Any, tracked: TrackedRun) -> None:
    told = calls()
    MLflow().begin(replace(tracked, config={f"key{i}": "x" * 600 for i in range(120)}))
    batches = [params for what, (_, *params) in told if what == "params"]
    assert [len(batch) for batch in batches] == [100, 20]
    assert len(batches[0][0][1]) == 500


def test_a_store_of_its_own_has_the_run(
    tracked: TrackedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    store = tracked.folder / "mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracker = MLflow()
    name = tracker.begin(tracked)
    tracker.log(2, {"train/loss": 0.5})
    tracker.end("stopped")
    tracker = MLflow()
    assert tracker.begin(replace(tracked, known_as=name)) == name
    tracker.log(4, {"train/loss": 0.25})
    tracker.conclude(4, {"test/accuracy": 0.75})
    tracker.end("finished")
    client = mlflow.MlflowClient()
    run = client.get_run(name)
    assert run.info.run_name == "lora-seed-1" and run.info.status == "FINISHED"
    assert run.data.params["training.learning_rate"] == "0.1"
    assert run.data.tags["welltuned.group"] == "reviews"
    assert run.data.metrics["test/accuracy"] == 0.75
    losses = [(one.step, one.value) for one in client.get_metric_history(name, "train/loss")]
    assert losses == [(2, 0.5), (4, 0.25)]
