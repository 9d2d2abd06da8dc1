"""What files of tests share is made without the package beside this file, whoever asks first."""

from __future__ import annotations

from welltuned.metrics import ClassPredictions
from welltuned.runs import Run


def test_a_shared_run_knows_no_metric_of_a_package(finished: Run) -> None:
    assert "matthews" in [metric.name for metric in ClassPredictions.metrics], "it is installed"
    assert "accuracy" in finished.results["test"]
    assert "matthews" not in finished.results["test"]
