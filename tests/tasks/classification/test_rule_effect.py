"""What a rule changes of each score, against scores of its own."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.metrics import ClassPredictions, LabelSetPredictions, score
from welltuned.metrics.classification import calibration_error, confidence_gap
from welltuned.tasks.classification.decision_rule import AT_HALF, LIKELIEST, ClassRule, LabelSetRule
from welltuned.tasks.classification.rule_effect import effect_on_classes, effect_on_label_sets

NAMES = ("a", "b", "c")
RANDOM = np.random.default_rng(0)
TRUE_N = RANDOM.integers(0, 3, 200)
OUTPUTS = 5 * (np.eye(3)[TRUE_N] + RANDOM.normal(scale=0.8, size=(200, 3)))


def predictions(rule: ClassRule) -> ClassPredictions:
    chances_NK = rule.probabilities(OUTPUTS)
    return ClassPredictions(TRUE_N, rule.said(chances_NK), chances_NK, NAMES)


def test_a_temperature_changes_calibration_and_no_answer() -> None:
    rule = ClassRule(scales=True, temperature=3.0)
    before, after = predictions(LIKELIEST), predictions(rule)
    scores = effect_on_classes(rule, before, after)["scores"]
    assert {"accuracy", "macro_f1", "calibration_error", "log_loss"} <= set(scores)
    assert scores["accuracy"]["before"] == scores["accuracy"]["after"]
    assert scores["accuracy"]["difference_ci95"] == [0, 0]
    for name, one in (("before", before), ("after", after)):
        error = calibration_error(TRUE_N, one.probabilities_NK)
        assert dict(scores["calibration_error"])[name] == pytest.approx(error)
        assert dict(scores["log_loss"])[name] == pytest.approx(score(one)["log_loss"], rel=1e-3)


def test_costs_are_told_as_the_mean_of_an_example() -> None:
    costs = ((0.0, 9.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0))
    rule = ClassRule(costs_KK=costs)
    before, after = predictions(LIKELIEST), predictions(rule)
    change = effect_on_classes(rule, before, after)["scores"]["mean_cost"]
    assert change["before"] == pytest.approx(np.array(costs)[TRUE_N, before.said_N].mean())
    assert change["after"] < change["before"]


def test_abstaining_is_told_as_coverage_and_what_is_right_of_the_rest() -> None:
    rule = ClassRule(abstain_below=0.9)
    after = predictions(rule)
    effect = effect_on_classes(rule, predictions(LIKELIEST), after)
    answered_N = after.probabilities_NK.max(axis=1) >= 0.9
    right_N = after.said_N == TRUE_N
    assert effect["coverage"] == pytest.approx(answered_N.mean())
    change = effect["scores"]["answered_accuracy"]
    assert change["before"] == pytest.approx(right_N.mean())
    assert change["after"] == pytest.approx(right_N[answered_N].mean())
    assert change["difference_ci95"][0] > 0


def test_of_several_labels_calibration_is_that_of_each() -> None:
    true_NK = RANDOM.random((200, 3)) < 0.3
    outputs_NK = 4 * (true_NK - 0.7 + RANDOM.normal(scale=0.5, size=(200, 3)))
    rule = LabelSetRule(
        True, 2.0, "costs", thresholds_K=(0.2, 0.5, 0.5), costs_K2=((5.0, 1.0),) * 3
    )
    half = AT_HALF.probabilities(outputs_NK)
    before = LabelSetPredictions(true_NK, AT_HALF.said(half), NAMES)
    scores = effect_on_label_sets(rule, outputs_NK, before)["scores"]
    assert set(scores) == {
        *("micro_f1", "macro_f1", "exact_match", "calibration_error", "log_loss", "mean_cost")
    }
    gap = confidence_gap(half.ravel(), true_NK.ravel())
    assert scores["calibration_error"]["before"] == pytest.approx(gap)
    assert scores["macro_f1"]["before"] == pytest.approx(score(before)["macro_f1"])
    assert scores["macro_f1"]["after"] != scores["macro_f1"]["before"]
    missed, alarms = true_NK & ~before.said_NK, before.said_NK & ~true_NK
    cost = (5 * missed.sum() + alarms.sum()) / 200
    assert scores["mean_cost"]["before"] == pytest.approx(cost)
