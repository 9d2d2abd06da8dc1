"""Examples of several rows each: counted, taken, joined, and read as a step reads them."""

from __future__ import annotations

import numpy as np

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.data.tokens.windows import WINDOWS, WindowIndex
from welltuned.tasks import Examples


def made(per_step: int | None = None) -> Examples:
    """Three texts of 2, 1 and 3 rows; the last row of the last one has lost something."""
    rows = [[1, 2], [3, 4], [5], [6, 7], [8, 9], [10, 11]]
    encoded = Encoded.of(rows, [False] * 5 + [True])
    records = Records("some.csv", {"text": ["a", "b", "c"]}, [1, 2, 3], ("text",))
    windows = WindowIndex(np.array([0, 2, 3, 6]), per_step)
    return Examples(encoded, np.array([0, 1, 2]), records, windows=windows)


def test_a_text_counts_once_and_its_tokens_all() -> None:
    examples = made()
    assert len(examples) == 3 and examples.lengths.tolist() == [4, 1, 6]
    assert examples.cut.tolist() == [False, False, True]
    assert list(examples.rows_of([2, 0])) == [3, 4, 5, 0, 1]
    assert examples.text_means(np.arange(6.0)[:, None]).ravel().tolist() == [0.5, 2, 4]


def test_a_table_is_there_only_where_texts_have_several_rows() -> None:
    examples = made()
    assert examples.window_table([1]) == {}
    assert examples.window_table([1, 0])[WINDOWS].tolist() == [[0, -1], [1, 2]]


def test_taken_and_joined_texts_keep_their_rows() -> None:
    taken = made().take([2, 1])
    assert len(taken) == 2 and len(taken.encoded) == 4 and taken.encoded[0].tolist() == [6, 7]
    joined = taken.join(made())
    assert len(joined) == 5 and list(joined.rows_of([2])) == [4, 5]
    assert joined.records["text"] == ["c", "b", "a", "b", "c"]


def test_a_step_reads_a_sample_and_taking_reads_all() -> None:
    drawn = made(per_step=1).sampled(0, 1)
    assert drawn.lengths.tolist() == [2, 1, 2] and len(drawn.rows_of([0, 1, 2])) == 3
    assert drawn.window_table([0, 2]) == {}
    assert len(drawn.take([2]).encoded) == 3


def test_a_batch_is_drawn_from_its_own_examples_alone() -> None:
    examples, places = made(per_step=1).drawn([2, 0], seed=3, step=5)
    assert len(examples) == 2 and places == [0, 1]
    rows = [made(per_step=1).drawn([2, 0], 3, step)[0].rows_of([0, 1]) for step in range(9)]
    assert all(0 <= one[0] < 3 <= one[1] < 5 for one in rows) and len({*map(tuple, rows)}) > 2
    assert list(examples.rows_of(places)) == list(rows[5])
    whole = made()
    assert whole.drawn([2, 0], 3, 5)[0] is whole, "nothing to draw, nothing to copy"
