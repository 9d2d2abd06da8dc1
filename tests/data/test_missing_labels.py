"""Labels that may say that there is none, and splits without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import noted
from gathering import bind, bound, picked, table_of
from support import make_rows, write_rows

WORDS = ["nan", "None", "NA", "null", "N/A"]


@pytest.mark.parametrize("word", WORDS)
def test_words_for_nothing_are_asked_about_and_the_remedies_work(tmp_path: Path, word: str) -> None:
    file = table_of(tmp_path / "a.jsonl", ["x", "y", "y", word] * 10)
    _, _, faults = bind(file)
    told = f"word={word.casefold()} role=label number=10 asked={word.casefold()}"
    assert faults == [f"a.jsonl:4 data.missing_unclear {told}"]
    data, problem = bound(file, missing=[word])
    assert problem.labels == ("x", "y")
    (note,) = [one for one in noted(data.facts.notes) if "labels_left_out" in one]
    assert "number=10 lines=4, 8, 12, 16, 20, …" in note
    assert len(bound(file, missing=[])[1].labels) == 3


@pytest.mark.parametrize(
    ("cells", "is_asked"),
    [
        ([0, 1, 2, 0, 1, 2, -1], True),
        ([0, 1] * 30 + [-1], True),
        (["a", "b", "-1.0"], True),
        ([-1, 0, 1], False),
        ([-1, 1], False),
        ([-2, -1, 0, 1, 2], False),
    ],
)
def test_minus_one_is_a_label_among_others_of_its_kind(
    tmp_path: Path, cells: list[Any], is_asked: bool
) -> None:
    file = table_of(tmp_path / "a.jsonl", cells * 20)
    assert any("data.missing_unclear" in fault for fault in bind(file)[2]) == is_asked
    if len(set(cells)) > 2:
        for word in (-1, "-1", [-1]):
            assert "-1" not in bound(file, missing=word)[1].labels
    assert "-1" in bound(file, missing=[])[1].labels


def test_a_common_minus_one_beside_0_and_1_is_told_of(tmp_path: Path) -> None:
    data, _ = bound(table_of(tmp_path / "a.jsonl", [-1, 0, 1] * 20))
    assert picked(data)["missing labels"] == "label"


@pytest.mark.parametrize("label", [-1, "-1", "", None, "null"])
def test_a_test_split_without_labels_is_refused_and_the_remedy_works(
    tmp_path: Path, label: Any
) -> None:
    train = write_rows(tmp_path / "train.jsonl", make_rows(100))
    hidden = [{"text": f"hidden {i}", "label": label} for i in range(5)]
    write_rows(tmp_path / "test.jsonl", hidden)
    faults = bind(str(tmp_path))[2]
    assert any("test.jsonl data.labels_hidden split=test" in fault for fault in faults)
    for asked in ("test", ["test"]):
        data, _ = bound(str(tmp_path), leave_out=asked)
        assert (data.test.source, len(data.test)) == (train, 10)


def test_a_test_file_without_a_column_of_labels_is_one_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", make_rows(100))
    write_rows(tmp_path / "test.jsonl", [{"text": f"hidden {i}"} for i in range(5)])
    (fault,) = bind(str(tmp_path))[2]
    assert fault == "test.jsonl:1 data.labels_hidden split=test evidence=no column has the label"
    assert len(bound(str(tmp_path), leave_out=["test"])[0].test) == 10


def test_a_hidden_label_that_train_lacks_is_told_with_the_key_that_leaves_it_out(
    tmp_path: Path,
) -> None:
    train = write_rows(tmp_path / "a.jsonl", make_rows(100))
    rows = [{"text": "x", "label": "-1"}, {"text": "y", "label": "positive"}]
    test = write_rows(tmp_path / "b.jsonl", rows)
    _, _, faults = bind(train, test=test)
    assert faults == ["b.jsonl:1 task.label_may_be_missing label=-1"]
    assert bound(train, test=test, missing=["-1"])[0].test["text"] == ["y"]


def test_a_file_in_which_every_label_is_missing_is_refused(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["nan", "NA"] * 10)
    assert bind(file, missing=["nan", "NA"])[2] == ["a.jsonl:1 data.no_labels role=label"]
    train = write_rows(tmp_path / "b.jsonl", make_rows(60))
    (fault,) = bind(train, test=file, missing=["nan", "NA"])[2]
    assert "a.jsonl data.labels_hidden split=test" in fault


def test_texts_that_are_words_for_nothing_stay_texts(tmp_path: Path) -> None:
    rows = [{"text": word, "label": "positive"} for word in WORDS]
    data, _ = bound(write_rows(tmp_path / "a.jsonl", rows + make_rows(60)))
    known = {text for split in ("train", "validation", "test") for text in data[split]["text"]}
    assert set(WORDS) <= known
    (note,) = [one for one in noted(data.facts.notes) if "texts_like_nothing" in one]
    assert note == "data.texts_like_nothing source=a.jsonl word=nan number=5 lines=1, 2, 3, 4, 5"
