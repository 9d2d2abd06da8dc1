"""How several labels are told from one."""

from __future__ import annotations

import pytest

from welltuned.tasks.classification.label_sets import flag_width, parted_by


@pytest.mark.parametrize(
    ("lists", "names", "width"),
    [
        ([[1, 0, 0], [0, 1, 1]], (), 3),
        ([["1", "0"], ["0", "1"]], (), 2),
        ([[True, False], [False, False]], (), 2),
        ([[1, 0, 0], [0, 1, 1], [0, 1]], (), 3),
        ([[0], [1]], (), 0),
        ([[0, 1], [1]], (), 0),
        ([[0, 2], [1, 0]], (), 0),
        ([["a", "b"]], (), 0),
        ([[], []], (), 0),
        ([[0, 1], [1, 0]], ("0", "1"), 0),
    ],
)
def test_flags_are_lists_of_0_and_1_that_no_set_of_labels_could_be(
    lists: list[list[object]], names: tuple[str, ...], width: int
) -> None:
    assert flag_width(lists, names) == width


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["a", "b"], None),
        (["a|b", "a"], ("|", True)),
        (["a|b", "b|c"], ("|", True)),
        (["a|b", "c|d"], ("|", False)),
        (["a|b", "a|c"], ("|", None)),
        (["a|b", "a|b|c"], ("|", True)),
        (["a, b", "a"], (",", True)),
        (["a, b", "b, c"], (",", None)),
        (["a, b", "c"], (",", False)),
        (["a;b", "b"], (";", True)),
    ],
)
def test_a_sign_parts_labels_where_their_parts_recur(
    texts: list[str], found: tuple[str, bool | None] | None
) -> None:
    assert parted_by(texts) == found
