"""Rewards as configs write them: words, folders, and keys beside them."""

from __future__ import annotations

import pytest

from welltuned.rlhf.rewards import REWARDS, as_source, as_sources


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("final_number", {"type": "final_number"}),
        ("runs/mine", {"run": "runs/mine"}),
        ("./length", {"run": "./length"}),
        ({"run": "length", "at_most": 3}, {"type": "length", "at_most": 3}),
        ({"run": "length", "type": "length"}, {"type": "length"}),
        ({"run": "length", "type": "json"}, {"run": "length", "type": "json"}),
        ({"function": "a.b"}, {"function": "a.b"}),
        (5, 5),
    ],
)
def test_a_word_is_the_type_of_a_rule_or_else_a_folder(written: object, meant: object) -> None:
    assert as_source(written) == meant


def test_one_reward_is_a_list_of_one() -> None:
    assert as_sources("json") == [{"type": "json"}]
    assert as_sources(("json", "runs/mine")) == [{"type": "json"}, {"run": "runs/mine"}]


def test_every_type_finds_the_class_that_has_it() -> None:
    for name in REWARDS.names:
        assert REWARDS.find(name).model_fields["type"].default == name
