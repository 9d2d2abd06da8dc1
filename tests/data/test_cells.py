"""Cells: lists, flags and names as tables write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from welltuned.data.cells import (
    as_flag,
    as_key,
    as_list,
    as_typed,
    defused,
    is_missing,
    join_names,
    split_names,
)


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        (["a", 1], ["a", 1]),
        ("['a', 'b']", ["a", "b"]),
        ('["a", null]', ["a", None]),
        ("['a' 'b']", ["a", "b"]),
        ("[1 0 0]", [1, 0, 0]),
        ("[1. 0.]", [1.0, 0.0]),
        ("('a',)", ["a"]),
        ("{'b', 'a'}", ["a", "b"]),
        ("[]", []),
        (" [1] ", [1]),
        ("[urgent]", None),
        ("[1] see below", None),
        ("{'a': 1}", None),
        ("a, b", None),
        ("[" * 100_000 + "]" * 100_000, None),
        (None, None),
        (3, None),
    ],
)
def test_lists_are_read_as_they_are_written(cell: object, items: list[object] | None) -> None:
    assert as_list(cell) == items


@given(st.lists(st.text() | st.integers()))
def test_lists_come_back_from_python_and_from_json(items: list[object]) -> None:
    assert as_list(repr(items)) == as_list(json.dumps(items)) == items


@pytest.mark.parametrize("cell", [1, 1.0, True, "1", "true", " TRUE ", "1.0"])
def test_flags_that_apply(cell: object) -> None:
    assert as_flag(cell) is True


@pytest.mark.parametrize(
    ("cell", "flag"), [(0, False), ("false", False), ("2", None), ("", None), (None, None)]
)
def test_flags_that_do_not_and_what_is_none(cell: object, flag: bool | None) -> None:
    assert as_flag(cell) is flag


@pytest.mark.parametrize("cell", [None, "", " \t", float("nan")])
def test_cells_that_hold_nothing(cell: object) -> None:
    assert is_missing(cell) and not is_missing("nan") and not is_missing(0)


def test_names_come_back_though_they_hold_commas() -> None:
    assert split_names(join_names(["a", "b, c", 1])) == ["a", "b, c", "1"]
    assert split_names("a, b") == ["a", "b"]
    assert split_names("") == []


def test_what_is_nearly_a_list_takes_no_time_and_warns_of_nothing() -> None:
    assert as_list("[" + "1" * 50_000 + "x]") is None
    assert as_list("[1if 2 else 3]") is None


def test_a_number_of_more_digits_than_python_reads_is_a_label() -> None:
    assert as_key("1" * 5000 + ".0") == "1" * 5000 + ".0"


@pytest.mark.parametrize("cell", ["=1+1", "@x", "-x", "+x", "'quoted", "'=x", "\tx"])
def test_what_a_spreadsheet_would_compute_is_defused_and_comes_back(cell: str) -> None:
    assert defused(cell) == f"'{cell}" and as_typed(defused(cell)) == cell


@pytest.mark.parametrize("cell", ["good", "-1", "+2.5", "", 7, "it's", "a=b"])
def test_other_cells_are_left_alone(cell: object) -> None:
    assert defused(cell) == cell == as_typed(cell)
