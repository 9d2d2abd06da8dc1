"""Pairs by column name: what is read together, told of and asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from gathering import bind, bound, picked
from support import write_rows


def file_of(path: Path, *columns: str) -> str:
    texts = "a quite long text number {} of {}"
    rows = [
        {**{name: texts.format(i, name) for name in columns}, "label": "ab"[i % 2]}
        for i in range(60)
    ]
    return write_rows(path / "a.jsonl", rows)


@pytest.mark.parametrize(
    "pair",
    [
        ("question", "sentence"),
        ("query", "answer"),
        ("premise", "hypothesis"),
        ("question1", "question2"),
        ("sentence1", "sentence2"),
        ("text_a", "text_b"),
        ("query", "passage"),
        ("question", "context"),
        ("question", "passage"),
    ],
)
def test_known_pairs_are_read_as_pairs_in_any_order(tmp_path: Path, pair: tuple[str, str]) -> None:
    for columns in (pair, pair[::-1]):
        data, _ = bound(file_of(tmp_path, *columns))
        assert data.train.input_roles == ("text", "text_pair")
        assert (data.facts.columns["text"], data.facts.columns["text_pair"]) == pair


def test_a_pair_of_less_usual_names_is_said_and_the_key_reads_one_alone(tmp_path: Path) -> None:
    file = file_of(tmp_path, "question", "sentence")
    assert picked(bound(file)[0]) == {"one text or two": "pair"}
    data, _ = bound(file, columns={"text_pair": None})
    assert data.facts.columns == {"text": "question", "label": "label"}
    data, _ = bound(file, columns={"text": "sentence"})
    assert data.facts.columns == {"text": "sentence", "label": "label"}


def test_two_columns_named_like_texts_are_asked_about_and_the_remedies_work(tmp_path: Path) -> None:
    file = file_of(tmp_path, "title", "body")
    assert bind(file)[2] == ["a.jsonl:1 data.pair_unclear one=body other=title"]
    assert bound(file, columns={"text": "body"})[0].train.input_roles == ("text",)
    both = bound(file, columns={"text": "title", "text_pair": "body"})[0]
    assert both.train.input_roles == ("text", "text_pair")


def test_a_column_of_texts_that_is_not_read_is_told_of(tmp_path: Path) -> None:
    data, _ = bound(file_of(tmp_path, "text", "summary"))
    (reading,) = data.facts.readings
    assert reading.picked == "one text" and reading.said["values"]["other"] == "summary"


def test_a_file_without_the_second_text_of_the_training_file_is_refused(tmp_path: Path) -> None:
    train = file_of(tmp_path, "premise", "hypothesis")
    test = write_rows(tmp_path / "b.jsonl", [{"premise": "one", "label": "a"}])
    (fault,) = bind(train, test=test)[2]
    assert fault.startswith("b.jsonl:1 data.column_missing role=text_pair")


def test_other_files_are_paired_as_the_training_file_is(tmp_path: Path) -> None:
    train = file_of(tmp_path, "text")
    rows = [{"text": "one", "text_pair": "two", "label": "a"}]
    data, _ = bound(train, test=write_rows(tmp_path / "b.jsonl", rows))
    assert data.test.input_roles == ("text",)
