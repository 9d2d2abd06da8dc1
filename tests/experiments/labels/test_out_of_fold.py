"""Outputs out of fold: from models that have not seen what they answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from support import make_rows
from welltuned.experiments.labels.out_of_fold import (
    deal_folds,
    first_minimum,
    fit_heads,
    head_data,
    head_outputs,
    loss_of_outputs,
    word_outputs,
)
from welltuned.tasks.classification import Labels, MultiLabel, SingleLabel

NAMES = ("bad", "good")
CLASSES = SingleLabel(Labels("single_label", NAMES, NAMES))
SETS = MultiLabel(Labels("multi_label", NAMES, NAMES))


def planted(number: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6) of which the first tells the class, most of the time."""
    random = np.random.default_rng(0)
    classes_N = random.integers(0, 2, number)
    features_NH = random.normal(size=(number, 6)).astype(np.float32)
    features_NH[:, 0] += 3.0 * (2 * classes_N - 1)
    return features_NH, classes_N


def test_folds_are_even_for_every_label_and_a_function_of_the_seed() -> None:
    strata = ["a"] * 40 + ["b"] * 10
    fold_N = deal_folds(range(50), strata, 5)
    assert Counter(fold_N[:40].tolist()) == dict.fromkeys(range(5), 8)
    assert Counter(fold_N[40:].tolist()) == dict.fromkeys(range(5), 2)
    np.testing.assert_array_equal(fold_N, deal_folds(range(50), strata, 5))
    assert (fold_N != deal_folds(range(50), strata, 5, seed=1)).any()


def test_equal_texts_are_in_one_fold() -> None:
    keys = [i // 2 for i in range(60)]
    fold_N = deal_folds(keys, [i % 2 for i in range(60)], 4)
    assert all(fold_N[i] == fold_N[i + 1] for i in range(0, 60, 2))
    assert len(set(fold_N.tolist())) == 4


def test_heads_find_what_is_planted() -> None:
    features_NH, classes_N = planted()
    outputs_NK = head_outputs(CLASSES, features_NH, classes_N, np.arange(200) % 4)
    assert outputs_NK.shape == (200, 2)
    assert (outputs_NK.argmax(axis=1) == classes_N).mean() > 0.97


def test_no_head_has_seen_what_it_answers() -> None:
    """With more features than texts any labels can be learned, and none be known out of fold."""
    random = np.random.default_rng(0)
    features_NH = random.normal(size=(80, 200)).astype(np.float32)
    classes_N = random.integers(0, 2, 80)
    data = head_data(features_NH, classes_N)
    learned = next(fit_heads(CLASSES, data, features_NH, [0.01]))
    outputs_NK = head_outputs(CLASSES, features_NH, classes_N, np.arange(80) % 5)
    assert (learned.argmax(axis=1) == classes_N).all()
    assert 0.3 < (outputs_NK.argmax(axis=1) == classes_N).mean() < 0.7


def test_several_labels_are_answered_each() -> None:
    features_NH, classes_N = planted()
    flags_NK = np.stack([classes_N == 0, features_NH[:, 1] > 0], axis=1).astype(np.float32)
    outputs_NK = head_outputs(SETS, features_NH, flags_NK, np.arange(200) % 4)
    assert ((outputs_NK > 0) == (flags_NK > 0.5)).mean() > 0.93


def test_words_answer_what_their_texts_tell() -> None:
    rows = make_rows(150)
    classes_N = np.array([NAMES.index("good" if r["label"] == "positive" else "bad") for r in rows])
    outputs_NK = word_outputs(CLASSES, [r["text"] for r in rows], classes_N, np.arange(150) % 3)
    assert (outputs_NK.argmax(axis=1) == classes_N).mean() > 0.85


def test_the_first_minimum_is_taken_and_nothing_after_it_is_asked_for() -> None:
    def answers() -> Iterator[np.ndarray]:
        for sure in (0.6, 0.9, 0.8):
            yield np.log(np.array([[sure, 1 - sure]]))
        pytest.fail("the loss had risen")

    place, outputs_NK = first_minimum(CLASSES, answers(), np.array([0]))
    assert place == 1 and np.exp(outputs_NK[0, 0]) == pytest.approx(0.9)


def test_the_loss_of_outputs_is_the_tasks_own() -> None:
    outputs_NK = np.log(np.array([[0.8, 0.2], [0.4, 0.6]]))
    expected = -np.log([0.8, 0.6]).mean()
    assert loss_of_outputs(CLASSES, outputs_NK, np.array([0, 1])) == pytest.approx(expected)
