"""Lengths as rewards, in every unit."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from support import make_tokenizer
from welltuned.rlhf.api import reward


def length(**values: Any) -> dict[str, Any]:
    return {"type": "length", **values}


def test_words_are_counted_within_bounds() -> None:
    judge = reward(length(at_least=2, at_most=3))
    said = ["one", "one, two!", "one two three", "one two three four", "你好吗"]
    assert judge([""] * 5, said).tolist() == [0, 1, 1, 0, 1]


def test_characters_are_counted_without_the_white_space_around_them() -> None:
    judge = reward(length(unit="characters", at_most=3))
    assert judge([""] * 3, [" abc\n", "abcd", ""]).tolist() == [1, 0, 1]


def test_tokens_are_those_of_the_policy() -> None:
    tokenizer = make_tokenizer("decoder", "llama")
    said = "the film was good"
    number = len(tokenizer(said, add_special_tokens=False)["input_ids"])
    for most, worth in ((number, 1), (number - 1, 0)):
        judge = reward(length(unit="tokens", at_most=most), tokenizer=tokenizer)
        assert judge([""], [said]).tolist() == [worth]
    with refused("rlhf.length_without_tokenizer"):
        reward(length(unit="tokens", at_most=3))


def test_the_reward_falls_evenly_over_the_margin() -> None:
    judge = reward(length(unit="characters", at_least=4, at_most=6, margin=4))
    rewards = judge([""] * 11, ["x" * number for number in range(11)])
    up, down = [0, 0.25, 0.5, 0.75], [0.75, 0.5, 0.25, 0]
    assert rewards.tolist() == [*up, 1, 1, 1, *down]


@pytest.mark.parametrize(
    ("values", "code"),
    [({}, "rlhf.length_unbounded"), ({"at_least": 3, "at_most": 2}, "rlhf.length_empty")],
)
def test_bounds_that_say_nothing_are_refused(values: dict[str, Any], code: str) -> None:
    with refused(code):
        reward(length(**values))
