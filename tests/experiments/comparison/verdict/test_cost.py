"""Which of several strategies costs least."""

from __future__ import annotations

from typing import Any

from ranking import row
from welltuned.experiments.comparison.verdict.cost import cheapest


def test_times_that_are_nearly_equal_leave_it_to_memory_and_then_to_size() -> None:
    rows: list[Any] = [
        row("a", 0, 100, 3e9),
        row("b", 0, 109, 1e9, 9e6),
        row("c", 0, 109, 1e9, 1e6),
    ]
    assert cheapest(rows)["name"] == "c"
    assert cheapest([*rows, row("d", 0, 80, 9e9)])["name"] == "d"
