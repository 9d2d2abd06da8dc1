"""One dimension as a person writes it; every mistake is one clear line."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full
from welltuned.errors import Faults, Place
from welltuned.experiments.search.space import Choices, Dimension, Interval
from welltuned.experiments.search.space_parsing import read_dimension

HERE = Place("config.yaml", 7, 5)


def read(written: Any, whole: bool | None = False) -> tuple[Dimension | None, list[str]]:
    faults = Faults()
    dimension = read_dimension("training.x", written, whole, HERE, faults)
    return dimension, full(faults)


@pytest.mark.parametrize(
    ("written", "whole", "expected"),
    [
        ({"low": 1e-5, "high": 1, "log": True}, False, Interval("training.x", 1e-5, 1, True)),
        ({"low": 0, "high": 1}, False, Interval("training.x", 0, 1)),
        ({"low": 2, "high": 8}, True, Interval("training.x", 2, 8, whole=True)),
        ({"low": 2, "high": 8}, None, Interval("training.x", 2, 8, whole=True)),
        ({"low": 2.5, "high": 8}, None, Interval("training.x", 2.5, 8)),
        ({"values": [4, 8]}, True, Choices("training.x", (4, 8))),
        ([4, 8], True, Choices("training.x", (4, 8))),
        ([["a"], "auto"], False, Choices("training.x", (["a"], "auto"))),
    ],
)
def test_the_ways_to_write_a_dimension(
    written: Any, whole: bool | None, expected: Dimension
) -> None:
    assert read(written, whole) == (expected, [])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (0.1, "sweep.bad_dimension key=training.x written=0.1"),
        ({"low": 2, "hihg": 3}, "sweep.dimension_key_unknown key=training.x word=hihg"),
        ({"low": 2}, "sweep.bad_range"),
        ({"low": "a", "high": 3}, "sweep.bad_range"),
        ({"low": 1, "high": float("inf")}, "sweep.bad_range"),
        ({"low": 1, "high": 2, "log": "yes"}, "sweep.bad_range"),
        ({"low": 3, "high": 2}, "sweep.range_reversed key=training.x low=3.0 high=2.0"),
        ({"low": 2, "high": 2}, "sweep.range_empty key=training.x low=2.0"),
        ({"low": 0, "high": 2, "log": True}, "sweep.log_range_from_zero key=training.x low=0.0"),
        ({"values": []}, "sweep.no_values"),
        ({"values": 3}, "sweep.no_values"),
        ([8, 8], "sweep.value_repeated"),
        ({"values": [1], "low": 2}, "sweep.values_and_range"),
    ],
)
def test_a_mistake_is_one_line_with_place_and_remedy(written: Any, told: str) -> None:
    dimension, [fault] = read(written)
    assert dimension is None
    assert fault.startswith("config.yaml:7:5 sweep.") and "key=training.x" in fault
    assert told in fault


def test_halves_are_refused_where_numbers_must_be_whole() -> None:
    assert "sweep.range_not_whole" in read({"low": 1.5, "high": 4}, whole=True)[1][0]
