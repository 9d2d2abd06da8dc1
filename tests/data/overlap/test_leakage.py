"""Texts in two splits."""

from __future__ import annotations

from typing import Any

from gathering import gather, good

LEAK = (["a", "b", "Same text.", "d"], ["e", "same text"], ["f", "b"])


def test_a_text_in_two_splits_stops_the_run_with_both_places(three: Any) -> None:
    _, faults = gather(**three(*LEAK))
    assert len(faults) == 1
    assert faults[0].startswith("validation.jsonl:2 data.duplicates_across_splits")
    assert "train/validation 1, train/test 1; 1 exact, 1 differing only in case" in faults[0]
    assert faults[0].endswith("train.jsonl:3")


def test_dropping_takes_texts_from_the_earlier_split(three: Any) -> None:
    collected = good(**three(*LEAK), duplicates="drop")
    assert collected.train["text"] == ["a", "d"]
    assert collected.validation["text"] == ["e", "same text"]
    assert collected.test["text"] == ["f", "b"]
    assert collected.facts.overlaps == {"train/validation": 1, "train/test": 1}


def test_dropping_keeps_the_test_split_clean_of_validation(three: Any) -> None:
    collected = good(**three(["a"], ["b", "c"], ["c", "d"]), duplicates="drop")
    assert collected.validation["text"] == ["b"]
    assert collected.test["text"] == ["c", "d"]


def test_keeping_is_said_to_make_scores_too_high(three: Any) -> None:
    collected = good(**three(*LEAK), duplicates="keep")
    assert len(collected.train) == 4
    assert [note["code"] for note in collected.facts.notes][-1] == "data.duplicates_kept"


def test_nothing_left_after_dropping_is_refused(three: Any) -> None:
    _, faults = gather(**three(["b"], ["a"], ["b"]), duplicates="drop")
    assert "data.split_all_duplicates split=train" in faults[0]


def test_code_that_differs_in_case_or_signs_is_no_duplicate(three: Any) -> None:
    files = three(["a = b"], ["A = b"], ["a = b!"])
    assert len(gather(**files)[1]) == 1
    assert good(**files, compare_as="code").facts.overlaps == {}
