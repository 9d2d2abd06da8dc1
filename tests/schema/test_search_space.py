"""Where a hyper-parameter is worth searching, said beside its field."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from welltuned.config import run_config_from
from welltuned.engines.config import TrainingConfig
from welltuned.errors import Faults
from welltuned.experiments.search.space_reading import with_values
from welltuned.schema.part import Part
from welltuned.schema.search_space import Around, Range, searched
from welltuned.strategies import STRATEGIES

PARTS = [part for part in STRATEGIES.own.values() if part.stands_in_all]
"""Those with numbers of their own: BitFit has none, and those of PEFT's methods are PEFT's."""


class Oven(Part):
    degrees: Annotated[int, Field(ge=0), Range(150, 250)] = 180
    yeast: Annotated[float, Around(4)] = 1.0
    shelf: int = 2


def test_a_part_tells_what_of_it_is_worth_searching() -> None:
    assert searched(Oven) == {"degrees": Range(150, 250), "yeast": Around(4)}


def test_a_range_does_not_bind_what_a_person_writes() -> None:
    assert Oven(degrees=20).degrees == 20
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Oven(degrees=-1)


def test_the_schema_carries_the_ranges_for_forms() -> None:
    properties = Oven.model_json_schema()["properties"]
    assert properties["degrees"]["search"] == {"low": 150, "high": 250, "log": False}
    assert properties["degrees"]["minimum"] == 0
    assert properties["yeast"]["search"] == {"factor": 4}
    assert "search" not in properties["shelf"]


@pytest.mark.parametrize("strategy", PARTS, ids=lambda part: part.model_fields["type"].default)
def test_every_strategy_declares_ranges_that_it_takes_itself(strategy: Any) -> None:
    """At both ends, and besides the head's learning rate at least one of its own."""
    kind = strategy.model_fields["type"].default
    base = run_config_from({"model": "some/model", "data": "x.csv", "strategy": kind})
    declared = searched(strategy)
    assert len(declared) >= 2 and "head_learning_rate_scale" in declared
    for name, marker in declared.items():
        ends = (marker.low, marker.high) if isinstance(marker, Range) else (0.1, 10)
        for end in ends:
            faults = Faults()
            assert with_values(base, {f"strategy.{name}": end}, faults), list(faults)


def test_the_learning_rate_is_searched_around_what_is_usual() -> None:
    assert searched(TrainingConfig)["learning_rate"] == Around(10)
