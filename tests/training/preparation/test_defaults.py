"""Hyper-parameters that are chosen for the user."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from support import strategy_of
from welltuned.engines.config import TrainingConfig
from welltuned.models.anatomy import Anatomy
from welltuned.strategies import STRATEGIES
from welltuned.training.preparation.defaults import Choice, defaults_for, resolve_parts

KINDS = list(STRATEGIES.own)
LORA = strategy_of({"type": "lora"})
NUMBERS = ["learning_rate", "num_train_epochs", "warmup_ratio", "weight_decay"]


def anatomy(kind: Any = "encoder", parameters: int = 110_000_000) -> Anatomy:
    return Anatomy("any", kind, "trunk", "words", (), (), (), (), 8, 64, False, parameters)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "encoder-decoder"])
@pytest.mark.parametrize("parameters", [1000, 10**8, 10**11])
@pytest.mark.parametrize("strategy", KINDS)
def test_every_strategy_has_sensible_defaults_for_every_model(
    strategy: str, parameters: int, kind: str
) -> None:
    chosen = defaults_for(strategy_of({"type": strategy}), anatomy(kind, parameters), 300)
    value = {name: choice.value for name, choice in chosen.items()}
    assert set(value) - {"pays_up_to"} == {*NUMBERS, "head_learning_rate_scale"}
    assert 0 < value["learning_rate"] <= 0.1
    assert 1 <= value["num_train_epochs"] <= 20
    assert 0 <= value["warmup_ratio"] < 0.5
    assert 0 <= value["weight_decay"] < 0.5
    assert value["head_learning_rate_scale"] > 0
    assert all(choice.name == name and choice.source for name, choice in chosen.items())


def test_all_seven_strategies_are_covered() -> None:
    names = {"full", "partial", "gradual", "lora", "prompt", "prefix", "adapter"}
    assert names <= set(KINDS)


def test_the_first_entry_that_fits_the_size_is_taken() -> None:
    small = defaults_for(strategy_of({"type": "full"}), anatomy(parameters=50_000_000), 300)
    large = defaults_for(strategy_of({"type": "full"}), anatomy(parameters=50_000_001), 300)
    assert small["learning_rate"].value > large["learning_rate"].value


def test_more_data_is_learned_from_more_gently() -> None:
    """What is best for a few dozen steps overshoots in a few hundred."""
    small = anatomy(parameters=23_000_000)
    few, many = (defaults_for(LORA, small, examples) for examples in (1000, 1001))
    assert few["learning_rate"].value > many["learning_rate"].value
    assert few["learning_rate"].source != many["learning_rate"].source


def test_encoders_and_decoders_have_their_own_defaults() -> None:
    encoder, decoder = (defaults_for(LORA, anatomy(kind), 300) for kind in ("encoder", "decoder"))
    assert encoder["learning_rate"].value > decoder["learning_rate"].value


def test_a_kind_without_defaults_is_an_error_that_names_it() -> None:
    with refused("strategy.no_defaults", strategy="full", kind="mixture"):
        defaults_for(strategy_of({"type": "full"}), anatomy("mixture"), 300)


def test_resolving_leaves_no_auto_and_tells_every_choice() -> None:
    asked = strategy_of({"type": "lora", "head_learning_rate_scale": "auto"})
    training, strategy, choices = resolve_parts(TrainingConfig(), asked, anatomy(), 300)
    told = {choice.name: choice for choice in choices}
    assert told == defaults_for(LORA, anatomy(), 300)
    assert all(getattr(training, name) == told[name].value for name in NUMBERS)
    assert strategy.head_learning_rate_scale == told["head_learning_rate_scale"].value


def test_what_the_user_chose_stays_and_is_not_told_as_a_choice() -> None:
    asked = TrainingConfig(learning_rate=0.5, weight_decay=0.0)
    training, _, choices = resolve_parts(asked, strategy_of({"type": "full"}), anatomy(), 300)
    assert (training.learning_rate, training.weight_decay) == (0.5, 0.0)
    assert {choice.name for choice in choices} == {"num_train_epochs", "warmup_ratio"}


def test_a_number_of_steps_needs_no_number_of_epochs() -> None:
    training, _, choices = resolve_parts(
        TrainingConfig(max_steps=7), strategy_of({"type": "full"}), anatomy(), 300
    )
    assert training.num_train_epochs == "auto"
    assert "num_train_epochs" not in {choice.name for choice in choices}


def test_a_choice_reads_as_name_value_and_source() -> None:
    assert str(Choice("learning_rate", 2e-5, "prior")) == "learning_rate = 2e-05 (prior)"
