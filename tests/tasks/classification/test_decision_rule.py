"""Decision rules: what they say of probabilities, what they learn, what an artifact keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from welltuned.tasks.classification.decision_rule import (
    AT_HALF,
    LIKELIEST,
    ClassRule,
    LabelSetRule,
)

NAMES = ("ill", "well")
COSTLY = ClassRule(costs_KK=((0.0, 20.0), (1.0, 0.0)))
CHANCES = np.array([[0.2, 0.8], [0.04, 0.96], [0.5, 0.5]])


# --- One label ----------------------------------------------------------------------


def test_the_likeliest_class_is_the_answer_where_nothing_is_asked() -> None:
    assert LIKELIEST.said(CHANCES).tolist() == [1, 1, 0]
    assert not LIKELIEST.abstains(CHANCES).any()
    assert LIKELIEST.losses(np.array([0, 1]), np.array([1, 1])).tolist() == [1, 0]


def test_a_costly_error_is_kept_away_from() -> None:
    """To miss an illness of probability p costs 20 p, to suspect one 1 − p."""
    assert COSTLY.said(CHANCES).tolist() == [0, 1, 0]
    assert COSTLY.losses(np.array([0, 1, 1]), np.array([1, 0, 1])).tolist() == [20, 1, 0]


def test_equal_costs_are_none() -> None:
    random = np.random.default_rng(0)
    chances_NK = random.dirichlet(np.ones(4), size=200)
    equal = ClassRule(costs_KK=tuple(tuple(row) for row in (3.0 * (1 - np.eye(4))).tolist()))
    assert (equal.said(chances_NK) == LIKELIEST.said(chances_NK)).all()


def test_below_a_probability_there_is_no_answer() -> None:
    assert ClassRule(abstain_below=0.8).abstains(CHANCES).tolist() == [False, False, True]


def test_a_temperature_is_fitted_where_one_is_asked_for() -> None:
    random = np.random.default_rng(0)
    targets_N = random.integers(0, 2, 600)
    outputs_N2 = 6 * (np.eye(2)[targets_N] + random.normal(scale=0.9, size=(600, 2)))
    assert ClassRule().fitted(outputs_N2, targets_N) == LIKELIEST
    fitted = ClassRule(scales=True).fitted(outputs_N2, targets_N)
    assert fitted.temperature > 2
    cooled = fitted.probabilities(outputs_N2)
    assert cooled == pytest.approx(LIKELIEST.probabilities(outputs_N2 / fitted.temperature))
    assert (fitted.said(cooled) == outputs_N2.argmax(axis=1)).all()


# --- Several labels -----------------------------------------------------------------


def test_labels_are_predicted_above_a_half_or_their_own_threshold() -> None:
    chances_NK = np.array([[0.5, 0.6], [0.51, 0.3]])
    assert AT_HALF.said(chances_NK).tolist() == [[False, True], [True, False]]
    low = LabelSetRule(aim="stated", thresholds_K=(0.4, 0.7))
    assert low.said(chances_NK).tolist() == [[True, False], [True, False]]


def test_thresholds_are_tuned_for_what_was_asked() -> None:
    random = np.random.default_rng(0)
    true_NK = random.random((300, 2)) < 0.2
    outputs_NK = np.where(true_NK, -0.5, -2.0) + random.normal(scale=0.4, size=(300, 2))
    flags_NK = true_NK.astype(np.float32)
    tuned = LabelSetRule(aim="f1").fitted(outputs_NK, flags_NK)
    assert tuned.thresholds_K is not None and max(tuned.thresholds_K) < 0.4
    costs = ((1.0, 100.0), (100.0, 1.0))
    careful, eager = (
        LabelSetRule(aim="costs", costs_K2=costs)
        .fitted(outputs_NK, flags_NK)
        .said(AT_HALF.probabilities(outputs_NK))
        .mean(axis=0)
    )
    assert careful < 0.2 < eager
    stated = LabelSetRule(aim="stated", thresholds_K=(0.1, 0.2))
    assert stated.fitted(outputs_NK, flags_NK) == stated


def test_errors_of_all_labels_add_up() -> None:
    rule = LabelSetRule(aim="costs", costs_K2=((5.0, 1.0), (1.0, 2.0)))
    true_NK = np.array([[True, False], [True, True]])
    said_NK = np.array([[False, True], [True, False]])
    assert rule.losses(true_NK, said_NK).tolist() == [5 + 2, 1]
    assert AT_HALF.losses(true_NK, said_NK).tolist() == [2, 1]


# --- Kept ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        LIKELIEST,
        COSTLY,
        ClassRule(scales=True, temperature=1.75, abstain_below=0.7),
        AT_HALF,
        LabelSetRule(scales=True, temperature=0.4, aim="f1", thresholds_K=(0.125, 0.3)),
        LabelSetRule(aim="costs", thresholds_K=(0.1, 0.9), costs_K2=((5.0, 1.0), (1.0, 2.0))),
    ],
)
def test_an_artifact_keeps_it_by_the_names_of_labels(rule: ClassRule | LabelSetRule) -> None:
    told = json.loads(json.dumps(rule.to_dict(NAMES)))
    assert type(rule).from_dict(told, NAMES) == rule
    assert bool(told) == (rule not in (LIKELIEST, AT_HALF))


def test_labels_in_another_order_keep_their_own() -> None:
    told = LabelSetRule(aim="stated", thresholds_K=(0.1, 0.9)).to_dict(NAMES)
    assert LabelSetRule.from_dict(told, NAMES[::-1]).thresholds_K == (0.9, 0.1)
    turned = ClassRule.from_dict(COSTLY.to_dict(NAMES), NAMES[::-1])
    assert turned.costs_KK == ((0.0, 1.0), (20.0, 0.0))


def test_a_rule_of_other_labels_is_none_of_these() -> None:
    with pytest.raises(KeyError):
        ClassRule.from_dict(COSTLY.to_dict(NAMES), ("ill", "dead"))
    with pytest.raises(KeyError):
        LabelSetRule.from_dict({"thresholds": {"ill": 0.2}, "thresholds_for": "f1"}, NAMES)
