"""The same budget for every strategy."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from welltuned.engines.config import TrainingConfig
from welltuned.errors import InputError
from welltuned.experiments.comparison.budget import CellBudget, Feasibility, spend
from welltuned.experiments.comparison.config import comparison_from

TRAINING = TrainingConfig()


def found(**values: Any) -> Feasibility:
    usual: dict[str, Any] = {
        "steps_per_epoch": 100, "train": 1600, "validation": 200, "metric": "f1",
    }  # fmt: skip
    return Feasibility(**usual | values)


def spending(
    budget: Any, spent: float = 0.0, seeds: int = 2, data: Any = "d", **parts: Feasibility
) -> Any:
    values = {"model": "m", "data": data, "seeds": seeds, "training": {}}
    if budget is not None:
        values["budget"] = budget
    return spend(comparison_from(values), parts, dict.fromkeys(parts, TRAINING), spent)


def test_epochs_and_steps_are_the_same_for_all() -> None:
    parts: dict[str, Any] = {"full": found(), "lora": found()}
    by_epochs = spending({"epochs": 2}, **parts)
    assert {(s.epochs, s.max_steps) for s in by_epochs.values()} == {(2.0, None)}
    by_steps = spending({"steps": 30}, **parts)
    assert {(s.epochs, s.max_steps) for s in by_steps.values()} == {(None, 30)}
    assert by_steps["full"].planned_epochs == 0.3


def test_without_a_budget_training_decides_and_else_three_epochs() -> None:
    assert spending(None, full=found())["full"].epochs == 3
    config = comparison_from({"model": "m", "data": "d", "training": {"max_steps": 7}})
    assert spend(config, {"full": found()}, {"full": config.training}, 0)["full"].max_steps == 7


def test_a_time_is_shared_out_equally() -> None:
    """20 minutes, 2 strategies, 2 seeds: 285 s a run; the fast strategy takes more steps."""
    quick = found(step=0.5, look=5.0, rest=35.0, validation=800)  # one look an epoch
    slow = found(step=1.0, look=5.0, rest=35.0, validation=800)
    steps = spending("20m", full=slow, lora=quick)
    assert steps["full"].max_steps == int(250 / 1.05)
    assert steps["lora"].max_steps == int(250 / 0.55)
    assert steps["full"].epochs is None
    for name, part in (("full", slow), ("lora", quick)):
        assert 270 < part.seconds(steps[name].max_steps, TRAINING) <= 290


def test_every_fold_of_a_cell_is_a_run_of_its_own() -> None:
    part = found(step=1.0, look=0.0, rest=0.0)
    one = spending("20m", full=part)["full"].max_steps
    five = spending("20m", full=part, data={"train": "d", "folds": 5})["full"].max_steps
    assert five == one // 5
    slow = found(step=2.0, rest=10.0)
    with refused("compare.budget_too_small", folds="5 folds, ") as error:
        spending("20m", full=slow, data={"train": "d", "folds": 5})
    told = error.value.faults[0].values
    assert "budget=37m" in told["fits"]  # 2 seeds * 5 folds * 210 s / 0.95 = 2211 s
    assert "seeds=1" in told["fits"]  # 1140 s suffice for 1050 s


def test_what_was_spent_on_scouting_is_taken_off() -> None:
    part = found(step=1.0, rest=0.0)
    before = spending("20m", full=part)["full"].max_steps
    after = spending("20m", spent=100.0, full=part)["full"].max_steps
    assert before - after == 50


def test_a_budget_too_small_for_one_epoch_says_what_fits() -> None:
    slow, quick = found(step=2.0, rest=10.0), found(step=0.1, rest=10.0)
    with refused("compare.budget_too_small", worst="full", strategies=2) as error:
        spending("10m", seeds=3, full=slow, lora=quick)
    told = error.value.faults[0].values
    assert round(told["epochs"], 2) == 0.42  # (95 s - 10 s) / 2 s a step
    assert "budget=23m" in told["fits"]  # 3 seeds * 2 strategies * 210 s / 0.95 = 1326 s
    assert "seeds=1" in told["fits"]  # 570 s suffice for 420 s
    assert "budget.epochs=1 (about 13m)" in told["fits"]  # 3 * (210 s + 20 s) / 0.95
    assert spending("23m", seeds=3, full=slow, lora=quick)["full"].max_steps >= 100
    assert spending("10m", seeds=1, full=slow, lora=quick)["full"].max_steps >= 100
    with pytest.raises(InputError):
        spending("22m", seeds=3, full=slow, lora=quick)


@pytest.mark.parametrize(
    ("validation", "distance"), [(100, 25), (200, 25), (400, 50), (800, 100), (5000, 100)]
)
def test_the_larger_the_validation_split_the_rarer_the_looks(
    validation: int, distance: int
) -> None:
    assert found(validation=validation).eval_steps(TRAINING) == distance


def test_who_says_when_to_look_is_heard() -> None:
    for values in ({"eval_strategy": "steps", "eval_steps": 3}, {"early_stopping_patience": 2}):
        assert found().eval_steps(TrainingConfig.model_validate(values)) is None


def test_spending_becomes_training() -> None:
    training = CellBudget(10, 35, None, 5).applied(TRAINING)
    assert (training.max_steps, training.num_train_epochs) == (35, "auto")
    assert (training.eval_strategy, training.eval_steps) == ("steps", 5)
    training = CellBudget(10, None, 2.5, None).applied(TRAINING)
    assert (training.max_steps, training.num_train_epochs) == (None, 2.5)
    assert training.eval_strategy == "epoch"
    TrainingConfig.model_validate(training.model_dump())
