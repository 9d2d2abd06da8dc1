"""Decimal marks: what a comma in a number means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from welltuned.data.decimals import Mark, is_number, mark_of, parse_number


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [
        ("3.5", "point", 3.5),
        ("3,5", "point", None),
        ("3,5", "comma", 3.5),
        ("3.5", "comma", 3.5),
        ("1,250", "point", 1250.0),
        ("1,250", "comma", 1.25),
        ("1.250", "comma", 1250.0),
        ("1.250,5", "comma", 1250.5),
        ("1,250,000.5", "point", 1250000.5),
        ("12,50", "point", None),
        ("1 250.5", "point", 1250.5),
        ("1\u202f250,5", "comma", 1250.5),
        ("1'250", "point", 1250.0),
        ("\u22121,5", "comma", -1.5),
        ("1e-3", "point", 0.001),
        ("many", "comma", None),
        ("", "point", None),
        (2, "comma", 2.0),
        (None, "point", None),
    ],
)
def test_numbers_are_read_with_their_mark(cell: object, mark: Mark, number: float | None) -> None:
    assert parse_number(cell, mark) == number


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["3,5", "4,25"], "comma"),
        (["3,5", "4,0", "4"], "comma"),
        (["3,5", "4"], "unclear"),
        (["1,250"], "unclear"),
        (["1,250", "3.5"], "point"),
        (["1,250,000"], "point"),
        (["3,5", "3.5"], "unclear"),
        (["3,5", "many"], None),
        (["a, b"], None),
    ],
)
def test_the_mark_is_seen_from_the_whole_column(cells: list[str], mark: str | None) -> None:
    assert mark_of(cells) == mark


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_with_either_mark(number: float) -> None:
    assert parse_number(repr(number)) == number
    if "e" not in (written := repr(number)) and written.split(".")[1:] != ["0"]:
        assert parse_number(written.replace(".", ","), "comma") == number


def test_what_is_not_finite_is_no_number() -> None:
    assert not is_number("nan") and not is_number("inf") and is_number("1,000")


def test_a_whole_number_beyond_all_floats_is_none() -> None:
    assert parse_number(10**400) is None
