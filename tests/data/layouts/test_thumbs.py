"""Answers with thumbs up or down, from files of them and from pairs."""

from __future__ import annotations

from typing import Any

import pytest

from faults import full, noted
from welltuned.data.layouts.thumbs import convert_thumbs
from welltuned.data.table import Table
from welltuned.errors import Faults


def convert(columns: dict[str, list[Any]], **mapping: str) -> tuple[Table, list[str]]:
    rows = len(next(iter(columns.values())))
    faults = Faults()
    table = convert_thumbs(Table("t.jsonl", columns, list(range(1, rows + 1))), mapping, faults)
    return table, full(faults)


@pytest.mark.parametrize("response", ["completion", "response"])
def test_thumbs_are_read_however_they_are_written(response: str) -> None:
    labels = [True, "false", 1, "0"]
    table, faults = convert({"prompt": ["p", "p", "q", "r"], response: list("abcd"),
                             "label": labels})  # fmt: skip
    assert not faults and table.columns["score"] == [1.0, 0.0, 1.0, 0.0]
    assert table.columns["responses"] == [["a"], ["b"], ["c"], ["d"]]
    assert table.columns["group"] == ["p", "p", "q", "r"]  # one prompt is in one split
    assert "title=thumbs" in noted(table.notes)[0]


def test_a_column_of_labels_may_be_named() -> None:
    columns: dict[str, list[Any]] = {"prompt": ["p"], "answer": ["a"], "good": [True]}
    assert convert(columns, label="good")[0].columns["score"] == [1.0]
    assert convert(columns)[1] == [
        "t.jsonl:1 data.column_missing role=label columns=prompt, answer, good"
    ]


def test_what_says_neither_is_told_with_its_line() -> None:
    columns: dict[str, list[Any]] = {"prompt": ["p", "q"], "response": ["a", "b"],
                                     "label": [True, "maybe"]}  # fmt: skip
    table, faults = convert(columns)
    assert not len(table) and faults == ["t.jsonl:2 data.thumb_unclear cell=maybe column=label"]
    _, faults = convert({**columns, "response": ["a", None], "label": [True, False]})
    assert faults == ["t.jsonl:2 data.cell_missing role=response column=response"]


def test_pairs_become_two_answers_each() -> None:
    table, faults = convert(
        {"prompt": ["p", "p", "q"], "chosen": ["a", "b", "e"], "rejected": ["b", "c", "f"],
         "margin": [None, None, 1.0]}
    )  # fmt: skip
    assert not faults and table.columns["responses"] == [["a"], ["c"], ["e"], ["f"]]
    assert table.columns["score"] == [1.0, 0.0, 1.0, 0.0]
    assert len(set(table.columns["id"])) == 4 and table.columns["group"] == ["p", "p", "q", "q"]
    assert table.lines == [1, 1, 3, 3]
    assert noted(table.notes)[2:] == [
        "data.pairs_read_as_thumbs source=t.jsonl up=2 down=2",
        "data.thumbs_contradicted source=t.jsonl number=1 lines=1",
        "data.margins_of_thumbs source=t.jsonl",
    ]
