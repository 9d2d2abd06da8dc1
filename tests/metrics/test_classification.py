"""Scores of class predictions, each against a computation of its own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

from welltuned.metrics import ClassPredictions, LabelSetPredictions, score
from welltuned.metrics.classification import (
    calibration_error,
    macro_f1,
)

NAMES = ("bad", "fair", "good")


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """300 labels of three classes, and probabilities that often go wrong."""
    random = np.random.default_rng(0)
    labels = random.choice(3, size=300, p=[0.5, 0.3, 0.2])
    outputs = random.normal(size=(300, 3)) + 1.2 * np.eye(3)[labels]
    return labels, special.softmax(outputs, axis=1)


@pytest.fixture(scope="module")
def flags() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = (random.random((200, 3)) < [0.6, 0.3, 0.1]).astype(np.float32)
    return labels, special.expit(random.normal(size=(200, 3)) + 2 * labels - 1)


# --- One label ----------------------------------------------------------------


def test_single_label_scores_are_scikit_learns(drawn: Any) -> None:
    labels, probabilities = drawn
    guesses = probabilities.argmax(axis=1)
    scores = score(ClassPredictions.of(labels, probabilities, NAMES), intervals=False)
    assert scores["accuracy"] == np.mean(labels == guesses)
    assert scores["macro_f1"] == pytest.approx(metrics.f1_score(labels, guesses, average="macro"))
    assert scores["log_loss"] == pytest.approx(
        -np.log(probabilities[np.arange(300), labels]).mean()
    )


def test_values_are_scikit_learns_to_the_last_bit() -> None:
    random = np.random.default_rng(2)
    for number in (1, 40, 700):
        labels = random.integers(0, 3, number)
        probabilities = random.dirichlet(np.ones(3), number).astype(np.float32)
        guesses, classes = probabilities.argmax(axis=1), [0, 1, 2]
        found = score(ClassPredictions.of(labels, probabilities, NAMES))
        whole = probabilities.astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that float32 does not sum to 1
            assert found["log_loss"] == metrics.log_loss(labels, whole, labels=classes)
        assert found["accuracy"] == metrics.accuracy_score(labels, guesses)
        theirs = metrics.precision_recall_fscore_support(
            labels, guesses, labels=classes, zero_division=0
        )
        assert found["macro_f1"] == theirs[2].mean()
        for k, name in enumerate(NAMES):
            assert tuple(found["per_class"][name].values()) == tuple(part[k] for part in theirs)


def test_scores_of_label_sets_are_scikit_learns_to_the_last_bit(flags: Any) -> None:
    labels, probabilities = flags
    found = score(LabelSetPredictions.of(labels, probabilities, NAMES))
    guesses = probabilities > 0.5
    args: Any = {"average": None, "zero_division": 0}
    theirs = metrics.precision_recall_fscore_support(labels, guesses, **args)
    assert found["micro_f1"] == metrics.f1_score(labels, guesses, average="micro")
    for k, name in enumerate(NAMES):
        assert tuple(found["per_class"][name].values()) == tuple(part[k] for part in theirs)


def test_a_worked_example_comes_out_as_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    guesses = np.eye(3)[[0, 0, 1, 1, 0, 0]] * 0.7 + 0.1
    scores = score(ClassPredictions.of(labels, guesses, NAMES), intervals=False)
    assert scores["confusion"] == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert scores["accuracy"] == 0.5
    assert scores["per_class"]["bad"] == pytest.approx(
        {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "support": 3}
    )
    assert scores["per_class"]["good"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert scores["macro_f1"] == pytest.approx((4 / 7 + 1 / 2 + 0) / 3)
    assert scores["classes_predicted"] == 2


def test_classes_that_do_not_occur_keep_their_place() -> None:
    scores = score(ClassPredictions.of(np.array([0, 0]), np.eye(3)[[0, 0]], NAMES), intervals=False)
    assert np.shape(scores["confusion"]) == (3, 3)
    assert list(scores["per_class"]) == list(NAMES)
    assert scores["macro_f1"] == pytest.approx(1 / 3)


def test_the_accuracys_interval_is_that_of_the_binomial(drawn: Any) -> None:
    labels, probabilities = drawn
    scores = score(ClassPredictions.of(labels, probabilities, NAMES), intervals=True)
    exact = stats.binom.ppf([0.025, 0.975], 300, scores["accuracy"]) / 300
    assert scores["accuracy_ci95"] == pytest.approx(exact, abs=0.008)


def test_the_macro_f1s_interval_is_that_of_resampled_examples(drawn: Any) -> None:
    """Drawing confusion matrices is drawing examples, only faster."""
    labels, probabilities = drawn
    guesses = probabilities.argmax(axis=1)
    random = np.random.default_rng(3)
    draws = [random.integers(0, 300, 300) for _ in range(400)]
    wanted = np.percentile(
        [metrics.f1_score(labels[d], guesses[d], average="macro") for d in draws], [2.5, 97.5]
    )
    found = score(ClassPredictions.of(labels, probabilities, NAMES), intervals=True)[
        "macro_f1_ci95"
    ]
    assert found == pytest.approx(wanted, abs=0.02)


def test_every_interval_holds_its_score(drawn: Any) -> None:
    scores = score(ClassPredictions.of(drawn[0], drawn[1], NAMES), intervals=True)
    for name in ("accuracy", "macro_f1"):
        low, high = scores[f"{name}_ci95"]
        assert low < scores[name] < high


def test_intervals_come_only_when_asked_for(drawn: Any) -> None:
    assert not [
        n
        for n in score(ClassPredictions.of(drawn[0], drawn[1], NAMES), intervals=False)
        if "ci95" in n
    ]


def test_many_macro_f1s_at_once_are_each_scikit_learns() -> None:
    random = np.random.default_rng(4)
    both = random.integers(0, 3, (20, 2, 50))
    confusions = np.stack([metrics.confusion_matrix(y, p, labels=[0, 1, 2]) for y, p in both])
    wanted = [metrics.f1_score(y, p, average="macro") for y, p in both]
    assert macro_f1(confusions) == pytest.approx(wanted)


# --- Calibration --------------------------------------------------------------


def test_the_calibration_error_is_the_mean_gap_over_ten_bins(drawn: Any) -> None:
    labels, probabilities = drawn
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gap = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence >= low) & (confidence < low + 0.1 - 1e-12)
        if inside.any():
            gap += inside.sum() / 300 * abs(confidence[inside].mean() - correct[inside].mean())
    assert calibration_error(labels, probabilities) == pytest.approx(gap)


@pytest.mark.parametrize(("right", "error"), [(8, 0.0), (10, 0.2), (0, 0.8)])
def test_confidence_is_held_against_accuracy(right: int, error: float) -> None:
    labels = np.array([0] * right + [1] * (10 - right))
    assert calibration_error(labels, np.tile([0.8, 0.2], (10, 1))) == pytest.approx(error)


def test_certainty_falls_into_the_last_bin() -> None:
    """One bin of confidence 0.975 and accuracy a half; not two bins."""
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05]])
    assert calibration_error(np.array([1, 0]), probabilities) == pytest.approx(0.475)


def test_gaps_of_different_bins_do_not_cancel() -> None:
    labels = np.array([0, 1])
    probabilities = np.array([[0.65, 0.35], [0.95, 0.05]])
    assert calibration_error(labels, probabilities) == pytest.approx((0.35 + 0.95) / 2)


# --- Several labels -----------------------------------------------------------


def test_multi_label_scores_are_those_of_counting(flags: Any) -> None:
    labels, probabilities = flags
    truth, guesses = labels == 1, probabilities > 0.5
    hits = (truth & guesses).sum(axis=0)
    f1 = 2 * hits / (truth.sum(axis=0) + guesses.sum(axis=0))
    told = [(np.flatnonzero(t), np.flatnonzero(g)) for t, g in zip(truth, guesses, strict=True)]
    scores = score(LabelSetPredictions.of(labels, probabilities, NAMES), intervals=False)
    assert scores["macro_f1"] == pytest.approx(f1.mean())
    assert scores["micro_f1"] == pytest.approx(2 * hits.sum() / (truth.sum() + guesses.sum()))
    assert scores["exact_match"] == np.mean([set(t) == set(g) for t, g in told])
    assert [scores["per_class"][name]["f1"] for name in NAMES] == pytest.approx(f1)


@pytest.mark.parametrize("name", ["micro_f1", "macro_f1"])
def test_multi_label_intervals_are_those_of_resampled_rows(flags: Any, name: str) -> None:
    labels, probabilities = flags
    random = np.random.default_rng(5)
    draws = [random.integers(0, 200, 200) for _ in range(400)]
    wanted = np.percentile(
        [
            metrics.f1_score(labels[d], probabilities[d] > 0.5, average=name.removesuffix("_f1"))
            for d in draws
        ],
        [2.5, 97.5],
    )
    found = score(LabelSetPredictions.of(labels, probabilities, NAMES), intervals=True)
    assert found[f"{name}_ci95"] == pytest.approx(wanted, abs=0.02)


def test_the_exact_matchs_interval_is_that_of_the_binomial(flags: Any) -> None:
    scores = score(LabelSetPredictions.of(flags[0], flags[1], NAMES), intervals=True)
    exact = stats.binom.ppf([0.025, 0.975], 200, scores["exact_match"]) / 200
    assert scores["exact_match_ci95"] == pytest.approx(exact, abs=0.012)


def test_no_label_at_all_is_an_answer() -> None:
    labels = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    scores = score(LabelSetPredictions.of(labels, np.full((2, 3), 0.1), NAMES), intervals=True)
    assert scores["exact_match"] == 0.5
    assert (scores["micro_f1"], scores["classes_predicted"]) == (0.0, 0)
