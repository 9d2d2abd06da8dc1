"""Rules as a config asks for them: what fits the labels is read, and what does not is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import full, noted
from welltuned.errors import Faults
from welltuned.tasks.classification.decision_rule import AT_HALF, LIKELIEST, LabelSetRule
from welltuned.tasks.classification.rule_reading import (
    read_class_rule,
    read_label_set_rule,
    rule_notes,
)

NAMES = ("a", "b", "c")


def class_rule(costs: Any = None, abstain_below: float | None = None) -> tuple[Any, list[str]]:
    faults = Faults()
    return read_class_rule(NAMES, False, costs or {}, abstain_below, faults), full(faults)


def label_rule(thresholds: Any = "half", costs: Any = None) -> tuple[Any, list[str]]:
    faults = Faults()
    return read_label_set_rule(NAMES, False, thresholds, costs or {}, faults), full(faults)


def test_nothing_asked_is_the_usual_rule() -> None:
    assert class_rule() == (LIKELIEST, [])
    assert label_rule() == (AT_HALF, [])


def test_errors_that_are_not_named_cost_one() -> None:
    rule, faults = class_rule({"b": {"a": 7.0, "b": 0.5}})
    assert faults == []
    assert rule.costs_KK == ((0.0, 1.0, 1.0), (7.0, 0.5, 1.0), (1.0, 1.0, 0.0))
    rule, faults = label_rule("costs", {"b": {"false_negative": 3.0}})
    assert faults == [] and rule.aim == "costs"
    assert rule.costs_K2 == ((1.0, 1.0), (3.0, 1.0), (1.0, 1.0))


@pytest.mark.parametrize("costs", [{"d": {"a": 1.0}}, {"a": {"d": 1.0}}])
def test_costs_of_what_is_no_label_are_refused(costs: Any) -> None:
    told = "task.costs_differ_from_labels unknown=['d'] labels=a, b, c"
    assert class_rule(costs)[1] == [told]


def test_costs_of_several_labels_are_those_of_its_two_errors() -> None:
    kinds = "errors=false_negative and false_positive"
    assert label_rule("costs", {"a": {"b": 2.0}})[1] == [
        f"task.costs_not_of_errors {kinds} wrong=['b']"
    ]
    free = {"c": {"false_negative": 0.0, "false_positive": 0.0}}
    assert label_rule("costs", free)[1] == [f"task.costs_all_zero label=c {kinds}"]
    unknown = "task.costs_differ_from_labels unknown=['d'] labels=a, b, c"
    assert label_rule("costs", {"d": {"false_negative": 2.0}})[1] == [unknown]


@pytest.mark.parametrize(("least", "told"), [(0.33, True), (0.34, False)])
def test_a_probability_that_the_likeliest_always_has_is_refused(least: float, told: bool) -> None:
    rule, faults = class_rule(abstain_below=least)
    assert rule.abstain_below == least
    assert [fault.partition(" ")[0] for fault in faults] == ["task.abstain_below_never"] * told


def test_thresholds_may_be_stated_for_each_label() -> None:
    rule, faults = label_rule({"a": 0.2, "b": 0.5, "c": 0.9})
    assert faults == [] and (rule.aim, rule.thresholds_K) == ("stated", (0.2, 0.5, 0.9))
    _, faults = label_rule({"a": 0.2, "d": 0.5})
    assert faults == ["task.thresholds_differ_from_labels differing=['b', 'c', 'd'] labels=a, b, c"]


def test_labels_of_few_validation_examples_are_named() -> None:
    flags_NK = np.zeros((100, 3), dtype=np.float32)
    flags_NK[:50, 0] = flags_NK[:19, 1] = flags_NK[:85, 2] = 1
    shared = rule_notes(LabelSetRule(aim="f1"), NAMES, flags_NK)
    assert noted(shared) == ["task.thresholds_shared labels=b, c fewest=20"]
    neutral = rule_notes(LabelSetRule(aim="costs"), NAMES, flags_NK)
    assert noted(neutral) == ["task.thresholds_from_costs labels=b, c fewest=20"]
    assert rule_notes(AT_HALF, NAMES, flags_NK) == []
    assert rule_notes(LabelSetRule(aim="f1"), NAMES[:1], flags_NK[:, :1]) == []
