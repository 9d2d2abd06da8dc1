"""`adapt` as a strategy: what is asked of it, before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full, refused
from welltuned.errors import Faults
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.variants import Variant, find_variants
from welltuned.schema.document import Document

DATA = {"train": "labelled.csv", "unlabelled": "texts.jsonl"}


def variants(*strategies: Any, **values: Any) -> list[Variant]:
    faults = Faults()
    config = comparison_from({"model": "m", "data": DATA, "strategies": strategies, **values})
    found = find_variants(config, Document(), faults)
    assert full(faults) == []
    return found


def test_it_is_a_strategy_whose_model_reads_first() -> None:
    plain, adapted = variants("lora", {"type": "adapt", "strategy": {"type": "lora", "r": 4}})
    assert plain.adaptation is None
    assert adapted.config.strategy.model_dump()["r"] == 4
    assert adapted.config.data.unlabelled is None, "an ordinary run reads none"
    assert adapted.adaptation is not None
    assert adapted.adaptation.data.unlabelled is not None
    assert adapted.name == "adapt strategy.type=lora strategy.r=4"


def test_without_a_strategy_it_has_the_comparisons_own() -> None:
    (adapted,) = variants("adapt", strategy={"type": "partial", "num_blocks": 1})
    assert adapted.config.strategy.model_dump()["num_blocks"] == 1


def test_a_variant_may_read_otherwise_than_the_others() -> None:
    few, many = variants(
        {"type": "adapt", "name": "few"},
        {"type": "adapt", "name": "many", "adaptation": {"new_tokens": 99}},
        adaptation={"new_tokens": 5, "mlm_probability": 0.3},
    )
    assert few.adaptation is not None
    assert many.adaptation is not None
    asked = [one.adaptation.adaptation for one in (few, many) if one.adaptation]
    assert [(one.new_tokens, one.mlm_probability) for one in asked] == [(5, 0.3), (99, 0.3)]


def test_its_parts_are_those_of_a_run() -> None:
    (adapted,) = variants({"type": "adapt", "training": {"learning_rate": 1e-3}})
    assert adapted.config.training.learning_rate == 1e-3


@pytest.mark.parametrize(
    "values",
    [
        {"data": DATA},
        {"data": "labelled.csv", "adaptation": {"new_tokens": 5}},
    ],
)
def test_texts_that_no_strategy_reads_are_refused(values: dict[str, Any]) -> None:
    with refused("compare.key_without_pipeline"):
        comparison_from({"model": "m", "strategies": ["lora"], **values})


def test_what_cannot_be_read_is_refused() -> None:
    faults = Faults()
    asked = {"type": "adapt", "adaptation": {"strategy": "lora"}}
    config = comparison_from({"model": "m", "data": DATA, "strategies": [asked]})
    assert find_variants(config, Document(), faults) == []
    assert [fault.code for fault in faults] == ["adapt.strategy_of_adapters"]
