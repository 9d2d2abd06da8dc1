"""Labels to check, from rows of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from welltuned.evaluation.label_check import averaged, find_suspects, rank_labels

BELIEVED = {"a": 0.1, "b": 0.2, "wrong": 0.9, "d": 0.8, "e": 0.7}
GIVEN = {"a": "bad", "b": "bad", "wrong": "bad", "d": "good", "e": "good"}


def row(id: str, label: Any, good: float, **more: Any) -> dict[str, Any]:
    chances = {"bad": 1 - good, "good": good}
    said = "good" if good > 0.5 else "bad"
    prediction = [said] if isinstance(label, list) else said
    shown = {"prediction": prediction, "probabilities": chances, "text": f"text {id}"}
    return {"id": id, "label": label, **shown, **more}


ROWS = [row(id, GIVEN[id], good) for id, good in BELIEVED.items()]


def test_who_is_confidently_believed_to_be_another_is_a_suspect() -> None:
    suspects, expected = find_suspects(ROWS)
    assert suspects == [
        {
            "id": "wrong",
            "label": "bad",
            "suggested": "good",
            "probability": pytest.approx(0.1),
            "suggested_probability": 0.9,
            "inputs": {"text": "text wrong"},
        }
    ]
    assert expected == pytest.approx(1.0)


def test_all_are_ranked_the_most_doubtful_first() -> None:
    ranking = rank_labels(ROWS)
    assert [ROWS[i]["id"] for i in ranking.order_N] == ["wrong", "e", "d", "b", "a"]
    assert ranking.doubtful == 1


def test_of_several_labels_each_is_a_question_of_its_own() -> None:
    """`good` is missing where it is believed; `bad` is believed as it is given."""
    rows = [
        {**one, "label": ["bad", *(["good"] if one["id"] in "de" else [])],
         "probabilities": {"bad": 0.9, "good": one["probabilities"]["good"]}}
        for one in ROWS
    ]  # fmt: skip
    suspects, _ = find_suspects(rows)
    assert [(one["id"], one["suggested"]) for one in suspects] == [("wrong", ["bad", "good"])]
    assert suspects[0]["probability"] == pytest.approx(0.1)


def test_nothing_is_found_in_nothing() -> None:
    assert find_suspects([]) == ([], 0.0)
    assert rank_labels([]).order_N.tolist() == []


def test_probabilities_of_several_judges_are_averaged() -> None:
    """By ids, whatever the order; one who has answered less is heard where he has."""
    one = [row("x", "bad", 0.2), row("y", "good", 0.9)]
    other = [row("y", "good", 0.3), row("x", "bad", 0.9), row("z", "bad", 0.4)]
    found = {row["id"]: row for row in averaged([one, other])}
    assert list(found) == ["x", "y", "z"]
    np.testing.assert_allclose(
        [found[id]["probabilities"]["good"] for id in "xyz"], [0.55, 0.6, 0.4]
    )
    assert found["x"]["prediction"] == "good", "it follows from the mean"
    assert averaged([[{"id": "x", "label": 1.5, "prediction": 1.0}]]) == []


def test_the_mean_of_several_labels_says_which_are_likelier_than_not() -> None:
    (found,) = averaged([[row("x", ["bad"], 0.8)], [row("x", ["bad"], 0.4)]])
    assert found["prediction"] == ["good"]
