"""Differences are named by the path of their key."""

from __future__ import annotations

from welltuned.schema.differences import differences


def test_equal_documents_have_none() -> None:
    assert differences({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}) == {}


def test_each_value_that_differs_has_its_path() -> None:
    was = {"a": {"b": 1, "gone": 2}, "list": [{"x": 1}, {"x": 2}], "size": [1]}
    now = {"a": {"b": 3, "new": 4}, "list": [{"x": 1}, {"x": 5}], "size": [1, 2]}
    assert differences(was, now) == {
        "a.b": (1, 3),
        "a.gone": (2, None),
        "a.new": (None, 4),
        "list.1.x": (2, 5),
        "size": ([1], [1, 2]),
    }
