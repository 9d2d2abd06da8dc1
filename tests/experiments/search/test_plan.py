"""What a sweep will do, settled and checked before any trial begins."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import default_rate
from trials import Ask
from welltuned.errors import InputError
from welltuned.experiments.search.plan import plan_sweep
from welltuned.models import loading


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_model", lambda *args: pytest.fail("weights were loaded"))


def test_a_trial_is_the_config_with_its_values_and_a_sealed_test_split(
    ask: Ask, tmp_path: Path
) -> None:
    plan = plan_sweep(ask("lora"))
    trial = plan.trial({"training.learning_rate": 0.02, "strategy.r": 2}, tmp_path / "here")
    assert trial.training.learning_rate == 0.02 and trial.strategy.model_dump()["r"] == 2
    assert trial.output_dir == str(tmp_path / "here")
    assert not trial.evaluation.test and not trial.evaluation.untrained
    assert trial.training.metric_for_best_model == "macro_f1"
    assert plan.config.evaluation.test, "what was asked is as it was"
    assert trial.data == plan.config.data and trial.training.num_train_epochs == 2


def test_values_that_do_not_go_together_are_refused(ask: Ask, tmp_path: Path) -> None:
    plan = plan_sweep(ask("lora"))
    with refused("config.value_invalid", key="strategy.r", given="0"):
        plan.trial({"strategy.r": 0}, tmp_path)


def test_what_is_usual_is_what_a_run_would_use(ask: Ask) -> None:
    space = {
        "training.learning_rate": {"low": 1e-4, "high": 1e-2},
        "training.warmup_ratio": "auto",
        "strategy.r": [2, 4],
        "strategy.target_modules": ["auto", ["query"]],
    }
    plan = plan_sweep(ask("lora", sweep={"space": space}))
    assert plan.usual == {
        "training.learning_rate": default_rate("lora"),
        "training.warmup_ratio": 0.1,
        "strategy.target_modules": "auto",
    }, "a rank of 8 is not among those asked for"


@pytest.mark.parametrize(
    ("parts", "metric", "maximize"),
    [
        ({}, "macro_f1", True),
        ({"sweep": {"metric": "log_loss"}}, "log_loss", False),
        ({"sweep": {"metric": "accuracy", "direction": "minimize"}}, "accuracy", False),
        ({"training": {"metric_for_best_model": "accuracy"}}, "accuracy", True),
    ],
)
def test_the_metric_and_its_direction(
    ask: Ask, tmp_path: Path, parts: dict[str, Any], metric: str, maximize: bool
) -> None:
    plan = plan_sweep(ask("lora", **parts))
    assert (plan.metric, plan.maximize) == (metric, maximize)
    chosen = plan.trial({}, tmp_path).training.metric_for_best_model
    assert chosen == metric, "the weights are chosen by it too"


@pytest.mark.parametrize(
    ("parts", "code", "values"),
    [
        ({"sweep": {"metric": "macro_f2"}}, "sweep.metric_unknown", {"metric": "macro_f2"}),
        (
            {"training": {"metric_for_best_model": "speed"}},
            "training.metric_unknown",
            {"metric": "speed"},
        ),
        ({"sweep": {"sampler": "grid"}}, "sweep.grid_with_a_range", {}),
        ({"data": "nowhere.csv"}, "data.file_missing", {"place": "nowhere.csv"}),
    ],
)
def test_what_cannot_work_is_refused_before_a_folder_is_made(
    ask: Ask, tmp_path: Path, parts: dict[str, Any], code: str, values: dict[str, Any]
) -> None:
    parts = {"sweep": {"space": {"training.learning_rate": {"low": 1, "high": 2}}}, **parts}
    parts["sweep"] = {"space": {"training.learning_rate": {"low": 1, "high": 2}}, **parts["sweep"]}
    config = ask("lora", **{key: parts[key] for key in parts if key != "data"})
    if "data" in parts:
        data = config.data.model_copy(update={"train": parts["data"]})
        config = config.model_copy(update={"data": data})
    with refused(code, **values):
        plan_sweep(config)
    assert not (tmp_path / "sweep").exists()


def test_faults_of_data_and_space_are_told_together(ask: Ask) -> None:
    config = ask("lora", sweep={"space": {"strategy.r": {"low": 3, "high": 2}}})
    data = config.data.model_copy(update={"train": "nowhere.csv"})
    with pytest.raises(InputError) as error:
        plan_sweep(config.model_copy(update={"data": data}))
    assert len(error.value.faults) == 2


def test_a_file_is_no_folder(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "sweep").write_text("mine")
    with refused("run.folder_is_a_file"):
        plan_sweep(ask("lora"))
    assert (tmp_path / "sweep").read_text() == "mine"


def test_without_a_name_the_folder_is_the_same_each_time(ask: Ask) -> None:
    config = ask("lora").model_copy(update={"output_dir": None})
    assert plan_sweep(config).folder == plan_sweep(config).folder
    assert plan_sweep(config).folder.parent == Path("sweeps")


def test_several_processes_of_one_training_are_refused(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with refused("sweep.several_processes"):
        plan_sweep(ask("lora"))


def test_without_optuna_it_says_what_to_install(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name)
    )
    with refused("sweep.optuna_missing"):
        plan_sweep(ask("lora"))
