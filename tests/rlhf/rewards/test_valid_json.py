"""JSON as a reward: whatever is not JSON to the letter is none, and a schema is kept to."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from faults import fails, refused
from welltuned.rlhf.api import reward

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"$ref": "#/$defs/name"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "$defs": {"name": {"type": "string", "minLength": 1}},
}


@pytest.mark.parametrize(
    ("said", "worth"),
    [
        ('{"name": "Ada", "age": 36}', 1),
        ("[1, 2.5, null, true]", 1),
        (' "text" \n', 1),
        ("", 0),
        ("{'name': 'Ada'}", 0),
        ('{"name": "Ada"} is it', 0),
        ("NaN", 0),
        ("[Infinity]", 0),
        ("[" * 100_000, 0),
        ("1" * 5000, 0),
    ],
)
def test_any_json_will_do_without_a_schema(said: str, worth: float) -> None:
    assert reward("json")([""], [said]).tolist() == [worth]


@pytest.mark.parametrize(
    ("said", "worth"),
    [
        ('{"name": "Ada"}', 1),
        ('{"name": "Ada", "age": -1}', 0),
        ('{"age": 3}', 0),
        ('{"name": ""}', 0),
        ('["Ada"]', 0),
    ],
)
def test_a_schema_is_kept_to(said: str, worth: float) -> None:
    pytest.importorskip("jsonschema")
    judge = reward({"type": "json", "json_schema": PERSON})
    assert judge([""], [said]).tolist() == [worth]


def test_the_first_block_may_be_meant() -> None:
    judge = reward({"type": "json", "fenced": True})
    said = ["Here:\n```json\n[1]\n```\nand\n```\nno\n```", "```\nno\n```", "[1]"]
    assert judge([""] * 3, said).tolist() == [1, 0, 0]


def test_what_is_no_schema_is_refused() -> None:
    pytest.importorskip("jsonschema")
    with refused("rlhf.json_schema_invalid"):
        reward({"type": "json", "json_schema": {"type": "objekt"}})


def test_nothing_is_fetched_for_a_schema() -> None:
    pytest.importorskip("jsonschema")
    elsewhere = {"type": "json", "json_schema": {"$ref": "http://localhost:1/person.json"}}
    with fails("rlhf.reward_failed"):
        reward(elsewhere)([""], ["3"])


def test_a_schema_without_the_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with refused("rlhf.jsonschema_missing"):
        reward({"type": "json", "json_schema": {"title": "not seen before"}})
    assert reward("json")([""], ["{}"]).tolist() == [1]
