"""One dimension as a person writes it; every mistake is one clear line."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.errors import Faults, Place
from welltuned.experiments.search.space import Choices, Dimension, Interval
from welltuned.experiments.search.space_parsing import read_dimension

HERE = Place("config.yaml", 7, 5)


def read(written: Any, whole: bool | None = False) -> tuple[Dimension | None, list[str]]:
    faults = Faults()
    dimension = read_dimension("training.x", written, whole, HERE, faults)
    return dimension, [str(fault) for fault in faults]


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
        (0.1, "is 0.1 -> write {low: …, high: …}, a list of values, or auto"),
        ({"low": 2, "hihg": 3}, "has an unknown key 'hihg' -> did you mean 'high'?"),
        ({"low": 2}, "needs a number for low and for high"),
        ({"low": "a", "high": 3}, "needs a number for low and for high"),
        ({"low": 1, "high": float("inf")}, "needs a number for low and for high"),
        ({"low": 1, "high": 2, "log": "yes"}, "true or false for log"),
        ({"low": 3, "high": 2}, "is reversed: low is 3 and high 2 -> swap them"),
        ({"low": 2, "high": 2}, "is empty: low and high are 2"),
        ({"low": 0, "high": 2, "log": True}, "goes by factors from 0 -> let low be above 0"),
        ({"values": []}, "has no values"),
        ({"values": 3}, "has no values"),
        ([8, 8], "has a value twice"),
        ({"values": [1], "low": 2}, "has both values and a range"),
    ],
)
def test_a_mistake_is_one_line_with_place_and_remedy(written: Any, told: str) -> None:
    dimension, [fault] = read(written)
    assert dimension is None
    assert fault.startswith("config.yaml:7:5: 'training.x' in sweep.space ")
    assert told in fault and " -> " in fault


def test_halves_are_refused_where_numbers_must_be_whole() -> None:
    assert "takes whole numbers only" in read({"low": 1.5, "high": 4}, whole=True)[1][0]
