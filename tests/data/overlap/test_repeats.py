"""Texts that a split has more than once: counted, told, and dropped where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import noted
from gathering import good
from support import write_rows

TRAIN = ["x", "z", "X!", "y", "q", "Y", "y"]
"""Labels take turns: the last text contradicts the fourth and the sixth."""
NEAR = [
    "the quick brown fox jumps over the lazy dog by the river",
    "a text about something else altogether, and not a short one",
    "the quick brown fox jumps over the lazy dogs by the river",
    "and the third text, which is like none of these in any way",
]
LONGER = "the quick brown fox jumps over the lazy dog by the rivers"


def test_repeats_and_contradictions_within_a_split_are_counted(three: Any) -> None:
    facts = good(**three(TRAIN, ["v"], ["w"])).facts
    assert facts.splits["train"].repeats == 3
    assert facts.splits["train"].conflicts == 1
    assert "data.contradictions split=train number=1 lines=4, 7" in noted(facts.notes)


def test_dropped_are_those_that_say_the_same_of_the_same_text(three: Any) -> None:
    data = good(**three(TRAIN, ["v", "V"], ["w"]), repeats="drop")
    assert data.train["text"] == ["x", "z", "y", "q", "y"]
    assert data.train.lines == [1, 2, 4, 5, 7]
    assert data.validation["text"] == ["v", "V"]  # scores are of what was given
    assert data.facts.splits["train"].repeats == data.facts.splits["train"].conflicts == 1
    assert "data.repeats_dropped number=2 rows=7 lines=3, 6" in noted(data.facts.notes)


@pytest.mark.parametrize(("repeats", "left"), [("keep", 5), ("drop", 5), ("drop_near", 3)])
def test_near_duplicates_are_dropped_where_that_is_asked_for(
    repeats: str, left: int, three: Any
) -> None:
    data = good(**three([*NEAR, LONGER], ["v"], ["w"]), repeats=repeats)
    assert len(data.train) == left
    assert data.train["text"] == [*NEAR, LONGER] if left == 5 else [NEAR[0], NEAR[1], NEAR[3]]


def test_a_near_duplicate_with_another_label_stays(tmp_path: Path, three: Any) -> None:
    given = three(NEAR, ["v"], ["w"])
    labels = [0, 0, 1, 1]
    given["train"] = write_rows(
        tmp_path / "labelled.jsonl",
        [{"text": text, "label": label} for text, label in zip(NEAR, labels, strict=True)],
    )
    assert good(**given, repeats="drop_near").train["text"] == NEAR


def test_nothing_is_told_where_nothing_repeats(three: Any) -> None:
    data = good(**three(["a", "b"], ["c"], ["d"]), repeats="drop_near")
    assert data.train["text"] == ["a", "b"]
    assert not any("repeats" in note for note in noted(data.facts.notes))
