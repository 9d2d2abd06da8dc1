"""Groups as examples: rows, lengths, and what a step takes of them."""

from __future__ import annotations

import numpy as np

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.tasks.contrast import Groups


def groups() -> Groups:
    texts = [[2, 7, 3], [2, 7, 8, 9, 3], [2, 3], [2, 5, 6, 3]]
    encoded = Encoded.of(texts, [False, True, False, False])
    records = Records("texts", {"text": ["a"] * 4}, [1, 2, 3, 4], ("text",))
    return Groups(encoded, np.array([0, 1, 0, 1]), records, np.array([[0, 2], [1, 3], [0, 3]]))


def test_a_group_is_as_long_as_its_longest_text_and_cut_where_one_of_them_is() -> None:
    found = groups()
    assert len(found) == 3
    assert found.lengths.tolist() == [3, 5, 4]
    assert found.sizes.tolist() == [2, 2, 2]
    assert found.units == 2
    assert found.cut.tolist() == [False, True, False]


def test_rows_stand_group_after_group() -> None:
    found = groups()
    assert found.rows_of([2, 0]) == [0, 3, 0, 2]
    assert found.take([1]).rows_of([0]) == [1, 3]
