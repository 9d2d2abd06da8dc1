"""What is told and measured of compared responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import noted
from welltuned.data.layouts.preferences import PreferencePair
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import score
from welltuned.tasks import pairs
from welltuned.tasks.grouped import Grouped, ResponseTarget


def judged(
    lengths: list[int], *found: tuple[int, int], score: float | None = None
) -> ResponseTarget:
    return ResponseTarget(
        np.array(lengths), tuple(PreferencePair(*pair, 0.0, 1.0, 1) for pair in found), score
    )


def targets_of(*targets: ResponseTarget) -> np.ndarray:
    array = np.empty(len(targets), dtype=object)
    array[:] = targets
    return array


TARGETS = targets_of(judged([3, 5, 4], (0, 1), (2, 1)), judged([6, 2], (0, 1)))
REWARDS = [np.array([1.0, 0.5, 0.0]), np.array([-1.0, 1.0])]


def test_pairs_are_scored_over_all_prompts() -> None:
    scores = score(pairs.predictions(REWARDS, TARGETS))
    assert scores["pairs"] == 3
    assert scores["pair_accuracy"] == pairs.accuracy(REWARDS, TARGETS) == pytest.approx(1 / 3)
    assert scores["margin"] == pytest.approx((0.5 - 0.5 - 2) / 3)
    # Of each pair: shorter and higher, longer and higher, longer and lower.
    assert scores["longer_preferred"] == pytest.approx(1 / 3)
    assert scores["length_correlation"] == pytest.approx(-8.5 / 95**0.5)  # two rewards are equal


def test_the_longer_response_is_a_rule_of_its_own() -> None:
    assert pairs.longer_wins(TARGETS) == {"pair_accuracy": pytest.approx(1 / 3)}
    equal = targets_of(judged([2, 2], (1, 0)))
    assert pairs.longer_wins(equal) == {"pair_accuracy": 0.5}


def test_the_means_of_both_sides() -> None:
    found = pairs.means(REWARDS, TARGETS)
    assert found == {"chosen_reward": pytest.approx(0), "rejected_reward": pytest.approx(2 / 3)}


RECORDS = Records(
    "a.jsonl",
    {"prompt": ["p", "q"], "responses": [["x", "y", "z"], ["v", "w"]], "messages": [None, None]},
    [4, 7],
    ("prompt",),
)


def test_rows_read_as_those_of_two_classes() -> None:
    """So that whatever compares runs by label and prediction compares these too."""
    rows = list(pairs.rows(REWARDS, TARGETS, RECORDS, {}))
    assert [row["id"] for row in rows] == ["a.jsonl:4#1", "a.jsonl:4#2", "a.jsonl:7"]
    assert {row["label"] for row in rows} == {"chosen"}
    assert [row["prediction"] for row in rows] == ["chosen", "rejected", "rejected"]
    first = rows[0]
    assert (first["prompt"], first["chosen"], first["rejected"]) == ("p", "x", "y")
    assert first["rewards"] == {"chosen": 1.0, "rejected": 0.5}
    assert first["probabilities"] == {"chosen": 0.622459, "rejected": 0.377541}
    assert "response" not in first


def test_answers_stand_in_a_prompts_first_row() -> None:
    rows = list(
        pairs.rows(REWARDS, TARGETS, RECORDS, {"response": {0: "said"}, "before": {0: "old"}})
    )
    assert (rows[0]["response"], rows[0]["before"], rows[0]["reference"]) == ("said", "old", "x")
    assert not any("response" in row for row in rows[1:])


def test_judgements_are_told_to_people() -> None:
    assert pairs.target_in_words(TARGETS[0]) == "1 > 2, 3 > 2"
    assert pairs.target_in_words(judged([2], score=3.5)) == 3.5
    assert pairs.lines(RECORDS, 1) == ["q", "response 1: v", "response 2: w"]
    alone = Records("a", {"prompt": [None], "responses": [["x"]]}, [1], ())
    assert pairs.lines(alone, 0) == ["x"]


def test_records_without_judgements_are_a_fault() -> None:
    faults = Faults()
    assert len(pairs.read(RECORDS, faults)) == 0
    assert str(next(iter(faults))).startswith("a.jsonl:4: the responses are not judged")


def test_pairs_that_read_the_same_are_noted_with_their_lines() -> None:
    nothing: Any = None
    examples = Grouped(nothing, TARGETS, RECORDS, np.array([0, 3, 5]), alike=(4, 9))
    told = "task.pairs_alike split=train number=2 lines=4, 9"
    assert noted(pairs.notes(examples, "train")) == [told]
