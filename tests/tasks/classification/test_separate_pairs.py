"""The texts of pairs as rows of their own."""

from __future__ import annotations

import pytest

from welltuned.data.records import Records
from welltuned.tasks import Classification
from welltuned.tasks.classification.separate_pairs import each_text, single_texts, two_rows_each

PAIRS = Records(
    "pairs.csv",
    {
        "text": ["a", "b"],
        "text_pair": ["c", "d"],
        "label": ["x", "y"],
        "code_language": ["c", "go"],
    },
    [2, 3],
    ("text", "text_pair"),
    keys=[b"1", b"2"],
)


def test_the_texts_of_a_pair_follow_each_other() -> None:
    found = each_text(PAIRS)
    assert found["text"] == ["a", "c", "b", "d"] and found.lines == [2, 2, 3, 3]
    assert found["code_language"] == ["c", "c", "go", "go"]
    assert found.input_roles == ("text",) and "text_pair" not in found and found.keys is None
    assert PAIRS["text"] == ["a", "b"], "what was given is left as it is"


def test_each_pair_has_two_rows() -> None:
    rows = two_rows_each(3)
    assert len(rows) == 3 and rows.rows_of([2, 0]).tolist() == [4, 5, 0, 1]
    assert len(two_rows_each(0)) == 0


def test_the_first_split_of_single_texts_is_named() -> None:
    alone = Records("test.csv", {"text": ["a"]}, [7], ("text",))
    assert list(single_texts([PAIRS])) == []
    (fault,) = single_texts([PAIRS, alone, alone])
    assert fault.code == "task.separate_pairs_of_single_texts" and str(fault.place) == "test.csv:7"


def test_a_policy_reads_one_row() -> None:
    with pytest.raises(Exception, match="two texts separately"):
        Classification(pair="separate").check_policy()
