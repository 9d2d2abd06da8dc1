"""What is noted of conversations: odd orders of turns, and keys that nothing reads."""

from __future__ import annotations

from typing import Any

import pytest

from faults import noted
from welltuned.data.layouts.turn_notes import TurnNotes

USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
TOOL = {"role": "tool", "content": "x"}
SYSTEM = {"role": "system", "content": "Be brief."}


def found(*turns: dict[str, Any]) -> list[str]:
    notes = TurnNotes()
    notes.observe([list(turns)], turns)
    return noted(notes.messages("a.jsonl"))


@pytest.mark.parametrize(
    ("turns", "code"),
    [
        ([ANSWER, USER, ANSWER], "data.assistant_first"),
        ([SYSTEM, ANSWER], "data.assistant_first"),
        ([USER, ANSWER, USER], "data.unanswered_end"),
        ([USER, USER, ANSWER], "data.same_role_twice"),
    ],
)
def test_odd_orders_of_turns_are_noted(turns: list[dict[str, Any]], code: str) -> None:
    assert found(*turns) == [f"{code} source=a.jsonl number=1"]


@pytest.mark.parametrize(
    "turns",
    [[USER, ANSWER], [SYSTEM, USER, ANSWER, USER, ANSWER], [USER, ANSWER, TOOL, TOOL, ANSWER], []],
)
def test_usual_orders_are_not(turns: list[dict[str, Any]]) -> None:
    assert found(*turns) == []


def test_keys_that_are_not_read_are_named_where_they_hold_something() -> None:
    odd: dict[str, Any] = {**ANSWER, "mood": "glad", "name": None}
    assert found(USER, odd) == ["data.keys_not_read source=a.jsonl keys=mood"]


def test_turns_that_are_left_out_of_the_loss_are_counted() -> None:
    unlearned = {**ANSWER, "weight": "0"}
    assert found(USER, unlearned, USER, ANSWER) == [
        "data.turns_not_learned source=a.jsonl number=1"
    ]


def test_other_turns_that_ask_to_be_learned_are_counted() -> None:
    asking: dict[str, Any] = {**USER, "train": True}
    assert found(asking, ANSWER) == ["data.weights_not_of_answers source=a.jsonl number=1"]
