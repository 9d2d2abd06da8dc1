"""The contrastive strategy: what trains, what is said of it, and what its config refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from faults import codes
from support import STRATEGIES, build, strategy_of
from welltuned.errors import Faults
from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.search_space import searched
from welltuned.schema.validation import validate
from welltuned.strategies import AnyStrategy, Contrastive

TRAITS = (
    "saves_whole_model", "needs_import", "starts_unchanged", "merge_refusal", "update_kind",
    "quantization_refusal", "plausible_rates", "input_positions", "changes_base",
)  # fmt: skip
INNER = ["full", "partial", "lora", "houlsby"]


class _Asked(Part):
    strategy: AnyStrategy


def contrastive(trains: Any = "full", **options: Any) -> dict[str, Any]:
    return {"type": "contrastive", "trains": trains, **options}


def refusals(strategy: dict[str, Any]) -> list[str]:
    faults = Faults()
    validate(_Asked, Document({"strategy": strategy}, source="test"), faults)
    return codes(faults)


@pytest.mark.parametrize("inner", [*INNER, "head"])
def test_what_is_known_of_it_is_what_is_known_of_the_strategy_that_trains(inner: str) -> None:
    own, whole = strategy_of(STRATEGIES[inner]), strategy_of(contrastive(STRATEGIES[inner]))
    for trait in TRAITS:
        assert getattr(whole, trait) == getattr(own, trait), trait


@pytest.mark.parametrize("inner", INNER)
def test_the_same_trains_but_for_the_head_which_is_kept_with_it(
    tiny: Callable[..., str], inner: str
) -> None:
    model, anatomy, strategy = build(tiny("bert"), contrastive(STRATEGIES[inner]))
    plain, _, own = build(tiny("bert"), STRATEGIES[inner])

    def trains(model: Any, of: Any, now: bool) -> set[str]:
        return {
            name
            for name, weight in model.named_parameters()
            if (weight.requires_grad if now else of.ever_trains(name, weight, anatomy))
        }

    head = {name for name in trains(plain, own, now=False) if anatomy.depth(name) == 0}
    assert head
    assert trains(model, strategy, now=True) == trains(plain, own, now=True) - head
    assert trains(model, strategy, now=False) == trains(plain, own, now=False)
    scales = {
        name: (strategy.learning_rate_scale(name, anatomy), own.learning_rate_scale(name, anatomy))
        for name in trains(model, strategy, now=True)
    }
    assert all(one == other for one, other in scales.values())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"loss": "cosine", "temperature": 0.2}, "strategy.temperature_without_supcon"),
        ({"label_template": "about it"}, "strategy.template_without_label"),
        ({"head_learning_rate_scale": 10}, "strategy.head_is_solved"),
        ({"trains": {"type": "lora", "head_learning_rate_scale": 4}}, "strategy.head_is_solved"),
        ({"trains": "gradual"}, "config.type_unknown"),
        ({"trains": {"type": "full", "r": 3}}, "config.key_unknown"),
        ({"group_size": 7}, "config.value_invalid"),
        ({"rounds": 0}, "config.value_invalid"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], code: str) -> None:
    assert refusals({"type": "contrastive", **options}) == [code]


def test_a_sweep_tries_nothing_that_would_be_refused() -> None:
    assert not searched(Contrastive)


def test_a_word_stands_for_the_strategy_that_trains() -> None:
    assert not refusals(contrastive("lora", rounds=3))
    assert strategy_of(contrastive("lora")).trains.type == "lora"


def test_a_head_that_is_more_than_linear_and_blocks_that_all_rest_are_refused(
    tiny: Callable[..., str],
) -> None:
    _, anatomy, strategy = build(tiny("roberta"), contrastive("full"), pooling="model")
    assert codes(strategy.check(anatomy)) == ["strategy.head_not_linear"]
    _, anatomy, strategy = build(tiny("bert"), contrastive(STRATEGIES["head"]))
    assert codes(strategy.check(anatomy)) == ["strategy.contrast_of_nothing"]
    _, anatomy, strategy = build(tiny("bert"), contrastive({"type": "partial", "num_blocks": 9}))
    assert codes(strategy.check(anatomy)) == ["strategy.too_many_blocks"]


def test_of_many_texts_fewer_rounds_are_drawn_unless_that_is_said() -> None:
    asked = strategy_of(contrastive())
    found = {n: asked.chosen_for(n)["rounds"][0] for n in (16, 500, 2_000, 100_000)}
    assert found == {16: 20, 500: 20, 2_000: 5, 100_000: 1}
    assert not strategy_of(contrastive(rounds=7)).chosen_for(16)


def test_its_artifact_goes_on_training_as_that_of_the_strategy_inside() -> None:
    pissa = strategy_of(contrastive({"type": "lora", "init_lora_weights": "pissa"}))
    assert pissa.changes_base
    assert pissa.continued().trains.init_lora_weights is True
    assert strategy_of(contrastive("lora")).quantization_refusal is None
