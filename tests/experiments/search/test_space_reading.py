"""From `sweep.space` to dimensions: as written, or as the fields declare."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full
from support import default_rate
from trials import Ask
from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.search.config import SweepConfig, as_run
from welltuned.experiments.search.space import Choices, Dimension, Interval
from welltuned.experiments.search.space_reading import read_space, with_values
from welltuned.schema.document import Document
from welltuned.training.preparation.prepare import RunPlan, prepare


def read(config: SweepConfig, prepared: RunPlan | None = None) -> tuple[list[Any], list[str]]:
    """(dimensions, faults)."""
    faults = Faults()
    prepared = prepared or prepare(as_run(config))
    space: list[Dimension] = read_space(config, Document(source="sweep.yaml"), prepared, faults)
    return space, full(faults)


def by_key(space: list[Dimension]) -> dict[str, Any]:
    return {dimension.key: dimension for dimension in space}


# --- As declared -------------------------------------------------------------


def test_by_default_the_learning_rate_and_what_the_strategy_leaves_open(ask: Ask) -> None:
    space, faults = read(ask({"type": "lora", "r": 4}))
    assert not faults
    found = by_key(space)
    assert set(found) == {
        "training.learning_rate",
        "strategy.head_learning_rate_scale",
        "strategy.lora_alpha",
        "strategy.lora_dropout",
    }
    rate = found["training.learning_rate"]
    middle = default_rate("lora")
    assert (rate.low, rate.high) == pytest.approx((middle / 10, middle * 10)) and rate.log


def test_a_learning_rate_that_was_written_is_the_centre(ask: Ask) -> None:
    rate = by_key(read(ask("prefix", training={"learning_rate": 0.05}))[0])[
        "training.learning_rate"
    ]
    assert (rate.low, rate.high) == pytest.approx((0.005, 0.5))


def test_blocks_are_searched_only_as_far_as_the_model_has_them(ask: Ask) -> None:
    """The tiny models have four blocks; with `patterns` the key cannot be set at all."""
    assert by_key(read(ask("partial"))[0])["strategy.num_blocks"] == Interval(
        "strategy.num_blocks", 1, 4, whole=True
    )
    with_patterns = read(ask({"type": "partial", "patterns": ["bias"]}))[0]
    assert "strategy.num_blocks" not in by_key(with_patterns)


def test_a_prompt_does_not_take_more_than_half_of_the_input(ask: Ask) -> None:
    """The tiny models read 64 tokens, the field itself would go up to 100."""
    found = by_key(read(ask("prompt"))[0])["strategy.num_virtual_tokens"]
    assert found == Interval("strategy.num_virtual_tokens", 5, 32, log=True, whole=True)


def test_without_a_new_head_its_learning_rate_is_not_searched(
    ask: Ask, causal: Any, instructions: str
) -> None:
    config = ask("lora")
    values = config.model_dump(mode="json") | {
        "model": {"name": causal("llama")},
        "data": {"train": instructions},
        "task": {"type": "generation"},
        "strategy": {"type": "lora"},
    }
    space, faults = read(SweepConfig.model_validate(values))
    assert not faults
    assert "strategy.head_learning_rate_scale" not in by_key(space)
    assert "strategy.r" in by_key(space)


def test_a_key_may_be_left_to_its_field(ask: Ask) -> None:
    space, faults = read(
        ask("lora", sweep={"space": {"training.warmup_ratio": "auto", "strategy.r": "auto"}})
    )
    assert not faults
    assert space == [
        Interval("training.warmup_ratio", 0.0, 0.2),
        Interval("strategy.r", 4, 64, log=True, whole=True),
    ]


def test_epochs_are_searched_around_the_default_where_steps_are_fixed(ask: Ask) -> None:
    """`max_steps` leaves epochs open, but a trial that sets both contradicts itself."""
    config = ask(
        "lora",
        training={"num_train_epochs": "auto", "max_steps": 4},
        sweep={"space": {"training.num_train_epochs": "auto"}},
    )
    _, [fault] = read(config)
    assert "training.max_steps_and_epochs" in fault


# --- As written --------------------------------------------------------------


def test_whether_numbers_are_whole_is_the_field_s_business(ask: Ask) -> None:
    space, faults = read(
        ask(
            "lora",
            sweep={
                "space": {
                    "strategy.r": {"low": 2.0, "high": 8.0},
                    "training.num_train_epochs": {"low": 1, "high": 3},
                    "strategy.layer_replication": [None],
                    "training.gradient_accumulation_steps": [1, 2],
                }
            },
        )
    )
    assert not faults
    assert space == [
        Interval("strategy.r", 2, 8, whole=True),
        Interval("training.num_train_epochs", 1, 3),
        Choices("strategy.layer_replication", (None,)),
        Choices("training.gradient_accumulation_steps", (1, 2)),
    ]


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (
            {"training.learning_rat": {"low": 1, "high": 2}},
            "sweep.key_unknown key=training.learning_rat hint=did you mean "
            "'training.learning_rate'?",
        ),
        ({"learning_rate": [1]}, "did you mean 'training.learning_rate'?"),
        ({"strategy.lora_alpa": [1, 2]}, "did you mean 'lora_alpha'?"),
        ({"strategy": [1, 2]}, "sweep.key_unknown key=strategy"),
        ({"strategy.type": ["lora", "full"]}, "sweep.strategy_type"),
        ({"data.split.seed": [1, 2]}, "sweep.key_not_searchable key=data.split.seed"),
        ({"training.seed": "auto"}, "sweep.no_default_range key=training.seed"),
        (
            {"strategy.lora_dropout": {"low": 0, "high": 1.5}},
            "config.value_invalid key=strategy.lora_dropout given=1.5",
        ),
        ({"strategy.r": [4, 0]}, "config.value_invalid key=strategy.r given=0"),
        (
            {"task.pooling": ["mean", "middle"]},
            "config.choice_unknown key=task.pooling given='middle'",
        ),
        ({"strategy.target_modules": [["nothing"]]}, "strategy.target_module_unknown name=nothing"),
        ({"training.max_steps": [3, 4]}, "training.max_steps_and_epochs"),
        ({}, "sweep.empty_space"),
    ],
)
def test_a_space_that_cannot_work_is_refused_before_the_start(
    ask: Ask, space: dict[str, Any], told: str
) -> None:
    _, [fault] = read(ask("lora", sweep={"space": space}))
    assert told in fault
    assert fault.startswith("sweep.yaml ")


def test_what_the_model_refuses_is_refused_too(ask: Ask) -> None:
    _, [fault] = read(ask("partial", sweep={"space": {"strategy.num_blocks": [2, 9]}}))
    assert "strategy.too_many_blocks number=9 blocks=4" in fault
    _, [fault] = read(ask("prompt", sweep={"space": {"strategy.num_virtual_tokens": [8, 60]}}))
    assert "sweep.prompt_too_long taken=60 room=64" in fault


def test_all_mistakes_are_told_at_once(ask: Ask) -> None:
    space = {"strategy.r": {"low": 8, "high": 4}, "training.sed": [1], "strategy.lora_alpha": [-1]}
    _, faults = read(ask("lora", sweep={"space": space}))
    assert len(faults) == 3


def test_values_are_put_where_they_belong_and_checked(ask: Ask) -> None:
    run: RunConfig = as_run(ask("lora"))
    faults = Faults()
    changed = with_values(run, {"strategy.r": 3, "training.learning_rate": 0.5}, faults)
    assert changed is not None
    assert (getattr(changed.strategy, "r", None), changed.training.learning_rate) == (3, 0.5)
    assert (
        changed.model_copy(update={"strategy": run.strategy, "training": run.training})
        == run.model_copy()
    )
    assert with_values(run, {"strategy.r": 0}, faults) is None and len(faults) == 1
