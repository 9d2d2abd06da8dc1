"""Spellings of labels: which are one, and which are asked about."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gathering import bind, bound, table_of
from support import write_rows
from welltuned.data.cells import as_key
from welltuned.errors import Faults
from welltuned.tasks.classification.spellings import visible


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.0", "1"),
        (" 1", 1),
        (0.0, "0"),
        ("-1.0", -1),
        ("caf\u00e9", "cafe\u0301"),
        ("\u00a0a", "a"),
    ],
)
def test_spellings_of_one_label_are_one(one: object, other: object) -> None:
    assert as_key(one) == as_key(other)


@pytest.mark.parametrize(("one", "other"), [("1.5", "1"), ("1.0.0", "1"), ("é", "e"), ("01", "1")])
def test_other_labels_stay_apart(one: str, other: str) -> None:
    assert as_key(one) != as_key(other)


def test_a_label_of_train_is_the_same_in_test_however_it_is_written(tmp_path: Path) -> None:
    train = table_of(tmp_path / "a.jsonl", ["0.0", "1.0"] * 20)
    test = write_rows(
        tmp_path / "b.jsonl", [{"text": "x", "label": " 0"}, {"text": "y", "label": 1}]
    )
    data, problem = bound(train, test=test)
    assert problem.labels == ("0", "1")
    assert problem.codec.read_targets(data.test, Faults()).tolist() == [0, 1]


@pytest.mark.parametrize("sign", ["\u200b", "\ufeff", "\u00ad"])
def test_signs_nobody_sees_are_asked_about_and_the_remedies_work(tmp_path: Path, sign: str) -> None:
    file = table_of(tmp_path / "a.jsonl", ["good", "bad", "good", f"go{sign}od"] * 10)
    _, _, (fault,) = bind(file)
    assert "task.labels_differ_invisibly" in fault
    assert f"'go{visible(sign)}od' (8)" in fault and sign not in fault
    assert bound(file, {"merge_spellings": True})[1].labels == ("bad", "good")
    assert len(bound(file, {"merge_spellings": False})[1].labels) == 3


def test_a_no_break_space_within_a_label_is_asked_about(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["very good", "bad", "very\u00a0good"] * 10)
    assert "'very\\u00a0good'" in bind(file)[2][0]


def test_case_alone_is_merged_when_asked(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", ["pos", "neg", "Pos", "pos"] * 10)
    assert "task.labels_differ_in_case" in bind(file)[2][0]
    data, problem = bound(file, {"merge_spellings": True})
    assert problem.labels == ("neg", "pos")
    assert set(problem.codec.read_targets(data.train, Faults())) == {0, 1}


def test_several_labels_are_asked_about_too(tmp_path: Path) -> None:
    file = table_of(tmp_path / "a.jsonl", [["a", "b"], ["A"], ["a"]] * 10)
    assert "task.labels_differ_in_case" in bind(file)[2][0]
    assert bound(file, {"merge_spellings": True})[1].labels == ("a", "b")


def test_a_spelling_of_test_alone_is_refused_and_the_remedy_works(tmp_path: Path) -> None:
    train = table_of(tmp_path / "a.jsonl", ["pos", "neg"] * 20)
    test = write_rows(tmp_path / "b.jsonl", [{"text": "x", "label": "Pos\u200b"}])
    _, _, faults = bind(train, test=test)
    told = r"label=Pos\u200b known=pos"
    assert faults == [f"b.jsonl:1 task.label_spelled_otherwise {told}"]
    data, problem = bound(train, {"merge_spellings": True}, test=test)
    assert problem.codec.read_targets(data.test, Faults()).tolist() == [1]


@given(st.text(min_size=1))
def test_a_key_is_its_own_key_and_ignores_how_letters_are_composed(text: str) -> None:
    assert as_key(as_key(text)) == as_key(text)
    assert as_key(unicodedata.normalize("NFD", text)) == as_key(unicodedata.normalize("NFC", text))
