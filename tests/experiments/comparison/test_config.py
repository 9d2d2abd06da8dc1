"""What a comparison's config takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import codes, full
from welltuned.errors import Faults, InputError
from welltuned.experiments.comparison.config import CompareConfig, comparison_from, read_comparison

BASE = {"model": "m", "data": "d.jsonl"}


def config(**values: Any) -> CompareConfig:
    return comparison_from({**BASE, **values})


def test_without_a_word_it_is_all_strategies_with_three_seeds() -> None:
    assert config().strategies == ("all",)
    assert config().seed_list == (0, 1, 2)
    assert config().budget is None and config().workers == "auto"


def test_seeds_are_a_number_or_a_list() -> None:
    assert config(seeds=2).seed_list == (0, 1)
    assert config(seeds=2, training={"seed": 5}).seed_list == (5, 6)
    assert config(seeds=[3, 1]).seed_list == (3, 1)


def test_the_command_line_takes_lists_with_commas() -> None:
    faults = Faults()
    overrides = ["model=m", "data=d.jsonl", "strategies=lora, partial", "seeds=2", "budget=20m"]
    read, _ = read_comparison(None, overrides, faults)
    assert read is not None and not list(faults)
    assert read.strategies == ("lora", "partial")
    assert read.budget is not None and read.budget.time == 1200


def test_a_list_on_the_command_line_may_hold_variants() -> None:
    faults = Faults()
    read, _ = read_comparison(
        None, ["model=m", "data=d", "strategies=[full, {type: lora, r: 64}]"], faults
    )
    assert read is not None
    assert read.strategies == ("full", {"type": "lora", "r": 64})


def named(config: CompareConfig | None) -> list[str]:
    assert config is not None
    return [model.title for model in config.models]


def test_without_a_model_one_is_to_be_proposed() -> None:
    read = comparison_from({"data": "d.jsonl"})
    assert read.model.name == "auto" and read.models == () and read.static == "auto"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", {"name": "b", "dtype": "bfloat16"}], ["a", "b dtype=bfloat16"]),
        ("a, org/b", ["a", "org/b"]),
        ("a", ["a"]),
        ({"name": "a"}, ["a"]),
        ({"name": "a", "revision": "v1"}, ["a revision=v1"]),
        ("auto", []),
        ([], []),
    ],
)
def test_models_are_names_or_have_options(given: Any, expected: list[str]) -> None:
    assert named(config(models=given)) == expected


@pytest.mark.parametrize(
    "override", ["models=a,b", "models=[a, b]", "models=[{name: a}, b]", "models=a, b"]
)
def test_models_are_named_on_the_command_line(override: str) -> None:
    faults = Faults()
    read, _ = read_comparison(None, ["data=d.jsonl", override], faults)
    assert named(read) == ["a", "b"] and not list(faults)


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ([{"name": "a", "dype": "bfloat16"}], "config.key_unknown key=models.0.dype"),
        (3, "config.value_invalid key=models given=3"),
    ],
)
def test_models_that_are_none_are_refused(models: Any, told: str) -> None:
    with pytest.raises(InputError) as error:
        config(models=models)
    assert told in full(error.value.faults)[0]


@pytest.mark.parametrize("name", ["reviews.csv", "reviews", "demo:sentiment_en", "my.data.jsonl"])
def test_data_in_place_of_a_config_are_compared_on(name: str) -> None:
    faults = Faults()
    read, _ = read_comparison(name, ["seeds=2", "data.columns.text=review"], faults)
    assert read is not None and not list(faults)
    assert read.data.train == name and read.data.columns == {"text": "review"}
    assert read.seeds == 2 and read.model.name == "auto"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"budget": {"epochs": 1, "steps": 3}}, "compare.budget_ambiguous"),
        ({"budget": {}}, "compare.budget_ambiguous"),
        ({"seeds": [1, 1]}, "compare.bad_seeds"),
        ({"seeds": []}, "compare.bad_seeds"),
        ({"strategies": []}, "compare.no_strategies"),
        ({"data": {"train": "d", "folds": 5}, "tune": 4}, "compare.tune_with_folds"),
        (
            {"data": {"train": "d", "folds": 5}, "evaluation": {"test": False}},
            "run.folds_sealed",
        ),
        ({"budget": "20m", "workers": 2}, "compare.time_budget_in_parallel"),
        (
            {"budget": {"epochs": 1}, "training": {"max_steps": 3}},
            "compare.budget_and_training_length",
        ),
        (
            {"budget": "1h", "training": {"num_train_epochs": 3}},
            "compare.budget_and_training_length",
        ),
        ({"strategy": {"type": "lorra"}}, "config.type_unknown key=strategy given=lorra"),
        ({"bugdet": "20m"}, "config.key_unknown key=bugdet"),
        ({"workers": 0}, "config.value_invalid key=workers given=0"),
        ({"seeds": 0}, "config.value_invalid key=seeds given=0"),
    ],
)
def test_contradictions_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        config(**values)
    assert told in full(error.value.faults)[0]


def test_a_runs_own_config_can_be_compared(finished: Any) -> None:
    """`schema_version` in config.yaml stands in nobody's way."""
    faults = Faults()
    read, _ = read_comparison(finished.folder / "config.yaml", ["output_dir=x"], faults)
    assert read is not None and not list(faults)
    assert read.model.name == finished.config["model"]["name"]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    faults = Faults()
    assert read_comparison(tmp_path / "none.yaml", [], faults)[0] is None
    assert codes(faults) == ["config.file_missing"]
