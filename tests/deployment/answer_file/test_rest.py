"""Which rows are left, and from where on they are computed again."""

from __future__ import annotations

import pytest

from asking import inputs_of
from welltuned.deployment.answer_file.rest import rest_after


@pytest.mark.parametrize(
    ("done", "left", "refused", "again", "last"),
    [
        (0, [1, 2, 4, 5, 7, 8], [3, 6], 0, None),
        (1, [1, 2, 4, 5, 7, 8], [3, 6], 1, "a.csv:1"),
        (2, [4, 5, 7, 8], [3, 6], 0, "a.csv:2"),
        (3, [4, 5, 7, 8], [6], 0, "a.csv:3"),
        (4, [4, 5, 7, 8], [6], 1, "a.csv:4"),
        (6, [7, 8], [], 0, "a.csv:6"),
        (7, [7, 8], [], 1, "a.csv:7"),
        (8, [], [], 0, "a.csv:8"),
    ],
)
def test_the_window_under_way_is_computed_again(
    done: int, left: list[int], refused: list[int], again: int, last: str | None
) -> None:
    """Windows of two records; lines 3 and 6 cannot be read."""
    rest = rest_after(inputs_of(8, broken=(3, 6)), done, window=2)
    records = rest.inputs.records
    assert (records.lines if records is not None else []) == left
    assert [fault.place and fault.place.line for fault in rest.inputs.refused] == refused
    assert (rest.again, rest.last_id) == (again, last)


def test_inputs_of_which_none_can_be_read() -> None:
    rest = rest_after(inputs_of(3, broken=(1, 2, 3)), 2, window=2)
    assert rest.inputs.records is None and len(rest.inputs.refused) == 1
    assert rest.last_id == "a.csv:2"
