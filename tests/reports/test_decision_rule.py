"""What a page tells of a decision rule, and of abstaining where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.metrics import ClassPredictions, LabelSetPredictions, PairPredictions
from welltuned.reports.decision_rule import decision_rule_content
from welltuned.reports.translations import ENGLISH, Translator

ROWS = [
    {"label": "a", "prediction": "a", "probabilities": {"a": 0.9, "b": 0.1}},
    {"label": "a", "prediction": "b", "probabilities": {"a": 0.4, "b": 0.6}},
]
CHANGE = {"before": 0.2, "after": 0.1, "difference_ci95": [-0.15, -0.05]}
EFFECT = {
    "scores": {"calibration_error": CHANGE, "mean_cost": CHANGE, "answered_accuracy": CHANGE},
    "coverage": 0.875,
}
RULE = {
    "temperature": 1.7342,
    "costs": {"a": {"a": 0.0, "b": 8.0}, "b": {"a": 1.0, "b": 0.0}},
    "abstain_below": 0.7,
    "effect": {"validation": EFFECT, "test": EFFECT},
}


def content(rule: Any, rows: Any = ROWS, family: Any = ClassPredictions, _: Any = ENGLISH) -> Any:
    results: Any = {} if rule is None else {"decision_rule": rule}
    return decision_rule_content(results, "test", rows, family, _)


def test_one_label_without_a_rule_shows_what_abstaining_would_bring() -> None:
    shown = content(None)
    assert (shown["sentences"], shown["changes"], shown["thresholds"]) == ([], [], {})
    points = shown["risk"]["points"]
    assert points[0] == {"coverage": 1.0, "least": 0.6, "risk": 0.5}
    assert points[-1] == {"coverage": 0.5, "least": 0.9, "risk": 0.0}
    assert "<svg" in shown["risk"]["chart"]


@pytest.mark.parametrize(
    ("rows", "family"),
    [(ROWS, LabelSetPredictions), (ROWS, PairPredictions), ([], ClassPredictions)],
)
def test_what_cannot_abstain_and_has_no_rule_shows_nothing(rows: Any, family: Any) -> None:
    assert content(None, rows, family) is None


def test_a_rule_is_told_with_what_it_changed() -> None:
    shown = content(RULE)
    told = " ".join(shown["sentences"])
    assert "1.73" in told and "0.7" in told and "87.5%" in told
    names = [row["name"] for row in shown["changes"]]
    assert names == ["calibration error", "mean cost", "accuracy of what is answered"]
    assert shown["changes"][0] == {
        **{"name": "calibration error", "before": 0.2, "after": 0.1, "low": -0.15, "high": -0.05}
    }
    assert shown["risk"]["points"][0]["risk"] == 4.0, "the mean of 0 and 8"


def test_a_temperature_that_was_not_taken_is_told_as_such() -> None:
    first, second = content({**RULE, "temperature": 1.0}), content(RULE)
    assert first["sentences"][0] != second["sentences"][0] and len(first["sentences"]) == 3


@pytest.mark.parametrize("aim", ["f1", "costs", "stated"])
def test_thresholds_of_several_labels_are_listed(aim: str) -> None:
    effect = {"scores": {"macro_f1": CHANGE}}
    rule = {"thresholds": {"a": 0.2, "b": 0.7}, "thresholds_for": aim, "effect": {"test": effect}}
    shown = content(rule, family=LabelSetPredictions)
    assert shown["thresholds"] == {"a": 0.2, "b": 0.7} and len(shown["sentences"]) == 1
    assert shown["risk"] is None


def test_names_are_told_in_the_language_of_the_page() -> None:
    shown = content(RULE, _=Translator("zh"))
    assert [row["name"] for row in shown["changes"]] == [
        "校准误差",
        "平均代价",
        "已作答部分的准确率",
    ]
