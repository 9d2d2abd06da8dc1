"""What was asked of training, and what an engine is given."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from welltuned.engines.config import ResolvedTraining, TrainingConfig

NUMBERS: dict[str, Any] = {
    "num_train_epochs": 3,
    "learning_rate": 1e-3,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "metric_for_best_model": "macro_f1",
}


def resolved(**asked: Any) -> ResolvedTraining:
    return TrainingConfig.model_validate({**NUMBERS, **asked}).resolved()


def test_numbers_stay_as_they_are() -> None:
    asked = TrainingConfig.model_validate({**NUMBERS, "seed": 5, "eval_strategy": "no"})
    assert asked.resolved().model_dump() == asked.model_dump()


@pytest.mark.parametrize(
    "name", ["num_train_epochs", "learning_rate", "warmup_ratio", "weight_decay"]
)
def test_an_auto_that_has_a_default_cannot_reach_an_engine(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        resolved(**{name: "auto"})


def test_until_they_are_found_a_whole_step_and_a_rate_of_one_stand_in() -> None:
    found = resolved(learning_rate="find", per_device_train_batch_size="auto", global_batch_size=24)
    assert found.learning_rate == 1.0
    assert (found.per_device_train_batch_size, found.gradient_accumulation_steps) == (24, 1)


def test_where_steps_are_counted_there_are_no_epochs() -> None:
    found = resolved(max_steps=7, num_train_epochs="auto")
    assert found.max_steps == 7 and found.num_train_epochs is None


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("wandb", ("wandb",)),
        (["wandb", "mlflow", "wandb"], ("wandb", "mlflow")),
        ([], ()),
    ],
)
def test_trackers_are_named_once_each(given: Any, names: tuple[str, ...]) -> None:
    assert TrainingConfig(report_to=given).report_to == names


@pytest.mark.parametrize("given", ["tensorbord", ["wandb", {"a": 1}], 3, {"wandb": True}])
def test_a_tracker_that_there_is_not_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(report_to=given)
