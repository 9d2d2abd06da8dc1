"""`learning_rate: find` and `per_device_train_batch_size: auto`, inside a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import STRATEGIES, config_values
from welltuned.config import run_config_from
from welltuned.runs import Run
from welltuned.training import train

pytestmark = pytest.mark.charts


@pytest.fixture(scope="module")
def found(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that had to find both."""
    values = config_values(
        tiny("bert"),
        sentiment,
        STRATEGIES["full"],
        tmp_path_factory.mktemp("found") / "run",
        task={"pooling": "mean"},
        training={
            "max_steps": 4,
            "num_train_epochs": "auto",
            "learning_rate": "find",
            "per_device_train_batch_size": "auto",
            "global_batch_size": 8,
        },
        report={"language": "zh"},
    )
    return train.run_training(run_config_from(values))


def test_what_was_found_is_what_was_trained_with(found: Run) -> None:
    training, tried = found.config["training"], found.results["found"]
    assert training["learning_rate"] == tried["learning_rate"]["suggestion"]
    assert training["per_device_train_batch_size"] == tried["batch_size"]["size"]
    rates = [row["learning_rate"] for row in found.read_lines("metrics.jsonl") if "loss" in row]
    assert max(rates) <= training["learning_rate"]


def test_the_global_batch_is_kept_by_accumulation(found: Run) -> None:
    training = found.config["training"]
    size, steps = training["per_device_train_batch_size"], training["gradient_accumulation_steps"]
    assert size * steps == 8 and training["global_batch_size"] is None
    assert found.results["training"]["steps"] == 4


def test_both_curves_are_kept_and_shown(found: Run) -> None:
    tried = found.results["found"]
    assert [each["size"] for each in tried["batch_size"]["tries"]] == [1, 2, 4, 8]
    assert len(tried["learning_rate"]["rates"]) == len(tried["learning_rate"]["smoothed"]) > 20
    page = found.report.read_text(encoding="utf-8")
    assert "测量得出的设置" in page and "每设备批大小" in page
    assert f"{tried['learning_rate']['suggestion']:.2g}" in page


def test_the_choices_say_why(found: Run) -> None:
    choices = {choice.split("=")[0].split()[0]: choice for choice in found.results["choices"]}
    assert "range test" in choices["learning_rate"]
    assert "examples/s by size" in choices["per_device_train_batch_size"]


def test_what_is_tried_does_not_change_what_is_trained(
    tiny: Any, sentiment: str, tmp_path: Path, found: Run
) -> None:
    """The same config with the numbers written down gives the same losses, bit for bit."""
    training = found.config["training"]
    values = config_values(
        tiny("bert"),
        sentiment,
        STRATEGIES["full"],
        tmp_path / "run",
        task={"pooling": "mean"},
        training={
            name: training[name]
            for name in (
                "learning_rate",
                "per_device_train_batch_size",
                "gradient_accumulation_steps",
                "max_steps",
                "num_train_epochs",
            )
        },
    )
    again = train.run_training(run_config_from(values))

    def losses(run: Run) -> list[float]:
        return [row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row]

    assert losses(again) == losses(found)
