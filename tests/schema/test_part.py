"""Parts of configs."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from small_config import Large, Small, Source, Whole
from welltuned.config import RunConfig
from welltuned.schema.part import conflict, parts_under
from welltuned.strategies import Strategy
from welltuned.strategies.lora import Lora


def test_a_part_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Source(name="a").name = "b"


def test_a_part_takes_no_key_that_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Source.model_validate({"name": "a", "nmae": "b"})


def test_the_parts_of_a_key_are_those_of_its_union() -> None:
    assert parts_under(Whole, "method") == [Small, Large]
    assert parts_under(Whole, "source") == [Source]


@pytest.mark.parametrize("key", ["limit", "weights", "nothing"])
def test_under_a_plain_value_and_an_unknown_key_there_are_none(key: str) -> None:
    assert parts_under(Whole, key) == []


def test_the_parts_of_an_open_key_are_its_own_and_not_their_base() -> None:
    found = parts_under(RunConfig, "strategy")
    assert Lora in found and Strategy not in found


def test_a_conflict_keeps_its_code_and_its_values() -> None:
    error = conflict("test.two", "{key} stands twice", "strike one", key="a")
    fault = (error.context or {})["fault"]
    assert (fault.code, fault.what, fault.values) == ("test.two", "a stands twice", {"key": "a"})
