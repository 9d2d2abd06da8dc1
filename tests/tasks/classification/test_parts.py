"""The parts of the three classifications, each by itself: verdicts, linear readouts, scorers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.tasks import Examples, LinearReadout, Problem, restore_problem
from welltuned.tasks.classification import Labels, MultiLabel, Regression, SingleLabel
from welltuned.tasks.classification.decision_rule import LIKELIEST, ClassRule, LabelSetRule

NAMES = ("bad", "fair", "good")
SINGLE = SingleLabel(Labels("single_label", NAMES, NAMES))
MULTI = MultiLabel(Labels("multi_label", NAMES, NAMES))
NUMBER = Regression(Labels("regression", ("score",), ("score",), mean=3.0, deviation=2.0))
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]], dtype=np.float32)
FEATURES = np.random.default_rng(0).normal(size=(40, 5))


def examples(targets: np.ndarray) -> Examples:
    number = len(targets)
    records = Records("a", {"text": ["x"] * number}, list(range(number)), ("text",))
    ids = [np.array([1], dtype=np.int32)] * number
    return Examples(Encoded.of(ids, [False] * number), targets, records)


def readout(problem: Problem) -> LinearReadout:
    assert problem.linear is not None
    return problem.linear


# --- As a reward ----------------------------------------------------------------------


def test_the_reward_of_a_class_is_its_log_odds_against_all_others() -> None:
    chances = special.softmax(LOGITS.astype(float), axis=1)[:, 2]
    assert SINGLE.verdict.rewards(LOGITS, 2) == pytest.approx(special.logit(chances))
    assert SINGLE.verdict.labels == NAMES and not SINGLE.verdict.reads_prompts


def test_the_reward_of_a_label_among_several_is_its_own_log_odds() -> None:
    assert MULTI.verdict.rewards(LOGITS, 1).tolist() == [-1.0, 1.0]
    assert MULTI.verdict.labels == NAMES


def test_the_reward_of_a_number_is_the_number_in_the_users_units() -> None:
    assert NUMBER.verdict.rewards(np.array([[0.0], [1.5]]), 0).tolist() == [3.0, 6.0]
    assert NUMBER.verdict.labels == NUMBER.labels == ()


def test_one_label_alone_is_something_that_a_policy_can_choose() -> None:
    assert (SINGLE.actions, MULTI.actions, NUMBER.actions) == ("label", None, None)
    assert SINGLE.responder is None and SINGLE.prompter is None


# --- By a linear map ------------------------------------------------------------------


def test_linear_targets_are_in_the_units_of_the_outputs() -> None:
    single = readout(SINGLE).targets(examples(np.array([2, 0])))
    assert single.tolist() == [[-1, -1, 1], [1, -1, -1]]
    several = readout(MULTI).targets(examples(np.array([[1.0, 0.0, 1.0]])))
    assert several.tolist() == [[1, -1, 1]]
    number = readout(NUMBER).targets(examples(np.array([3.0, 7.0])))
    assert number.tolist() == [[0.0], [2.0]]


def test_more_is_better_in_how_right_a_linear_map_is() -> None:
    assert readout(SINGLE).right(LOGITS, np.array([0, 0])).tolist() == [1, 0]
    several = readout(MULTI).right(LOGITS, np.array([[1, 0, 1], [1, 1, 1]]))
    assert several.tolist() == pytest.approx([1, 1 / 3])
    assert readout(NUMBER).right(np.array([[0.0], [1.0]]), np.array([3.0, 4.0])).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("problem", "targets", "metric"),
    [
        (SINGLE, (FEATURES[:, 0] > 0) * 2, "accuracy"),
        (MULTI, (FEATURES[:, :3] > 0).astype(np.float32), "exact_match"),
        (NUMBER, 3 + 2 * FEATURES[:, 1], "r2"),
    ],
)
def test_an_estimator_answers_as_the_problems_own_head_would(
    problem: Any, targets: np.ndarray, metric: str
) -> None:
    """What is linear in the features is read off them, also where a class is never seen."""
    linear = readout(problem)
    estimator = linear.estimator(30.0)
    assert estimator is not None
    model = estimator.fit(FEATURES, linear.estimator_targets(targets))
    outputs = linear.estimator_outputs(model, FEATURES)
    assert problem.scorer.score(outputs, targets)[metric] > 0.9


# --- Scorers and memory ---------------------------------------------------------------


def test_auto_means_the_usual_metric_and_a_name_itself() -> None:
    assert SINGLE.scorer.chosen("auto") == "macro_f1"
    assert SINGLE.scorer.chosen("accuracy") == "accuracy"
    assert NUMBER.scorer.metric_names == ("r2", "mae", "rmse", "spearman")


# --- By a decision rule ---------------------------------------------------------------


def test_a_rule_is_settled_on_validation_and_nothing_is_read_without_one() -> None:
    random = np.random.default_rng(0)
    targets_N = random.integers(0, 3, 400)
    outputs_NK = 5 * (np.eye(3)[targets_N] + random.normal(scale=0.8, size=(400, 3)))
    asked: list[str] = []

    def outputs_of(split: str) -> tuple[np.ndarray, np.ndarray]:
        asked.append(split)
        return outputs_NK, targets_N

    assert SINGLE.measured(outputs_of) is SINGLE and MULTI.measured(outputs_of) is MULTI
    assert NUMBER.measured(outputs_of) is NUMBER and asked == []
    scaled = replace(SINGLE, rule=ClassRule(scales=True)).measured(outputs_of)
    assert asked == ["validation"] and scaled.rule.temperature > 1.5
    assert scaled.without_rule() == SINGLE and SINGLE.without_rule() is SINGLE


def test_answers_and_scores_go_by_the_rule() -> None:
    costly = ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (50.0, 1.0, 0.0))
    careful = replace(SINGLE, rule=ClassRule(costs_KK=costly, abstain_below=0.6))
    said = [row["prediction"] for row in careful.presenter.describe(LOGITS)]
    assert (
        said == ["good", "fair"] != [row["prediction"] for row in SINGLE.presenter.describe(LOGITS)]
    )
    assert [row.get("abstained") for row in careful.presenter.describe(LOGITS)] == [None, True]
    assert careful.scorer.score(LOGITS, np.array([2, 1]))["accuracy"] == 1
    low = replace(MULTI, rule=LabelSetRule(aim="stated", thresholds_K=(0.9, 0.2, 0.4)))
    assert [row["prediction"] for row in low.presenter.describe(LOGITS)] == [
        ["fair", "good"],
        ["fair", "good"],
    ]
    flags = np.array([[0, 1, 1], [0, 1, 1]], dtype=np.float32)
    assert low.scorer.score(LOGITS, flags)["exact_match"] == 1
    assert low.scorer.effect(LOGITS, flags)["scores"]["exact_match"]["before"] == 0
    assert low.without_rule() == MULTI and NUMBER.without_rule() is NUMBER


def test_rules_that_need_no_model_know_of_none() -> None:
    scaled = replace(SINGLE, rule=ClassRule(True, 4.0))
    train, test = np.array([0, 1, 1, 1]), np.array([0, 1])
    assert scaled.scorer.majority(train, test) == SINGLE.scorer.majority(train, test)


def test_only_a_rule_that_was_asked_for_is_remembered() -> None:
    assert "decision_rule" not in SINGLE.to_dict() and SINGLE.rule == LIKELIEST
    scaled = replace(SINGLE, rule=ClassRule(True, 4.0))
    assert scaled.to_dict()["decision_rule"] == {"temperature": 4.0}
    assert restore_problem(scaled.to_dict()) == scaled


@pytest.mark.parametrize("problem", [SINGLE, MULTI, NUMBER])
def test_each_kind_is_restored_as_what_it_was(problem: Problem) -> None:
    assert restore_problem(problem.to_dict()) == problem
