"""Confident learning: thresholds, the confident joint, and who comes first."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.evaluation.confident_learning import check_labels, thresholds

BELIEVED_1 = np.array([0.1, 0.2, 0.9, 0.8, 0.7])
GIVEN = np.array([0, 0, 0, 1, 1])


def two(believed_N: np.ndarray) -> np.ndarray:
    return np.stack([1 - believed_N, believed_N], axis=1)


def test_a_threshold_is_the_mean_belief_in_a_label_where_it_is_given() -> None:
    np.testing.assert_allclose(thresholds(two(BELIEVED_1), GIVEN), [0.6, 0.75])


def test_it_is_as_by_hand() -> None:
    """The third is believed to be 1 beyond its threshold; the last reaches no threshold."""
    found = check_labels(two(BELIEVED_1), GIVEN)
    assert found.is_doubtful_N.tolist() == [False, False, True, False, False]
    assert found.other_N.tolist() == [1, 1, 1, 0, 0]
    np.testing.assert_allclose(found.joint_KK, [[2, 1], [0, 2]])
    assert found.expected == pytest.approx(1.0)
    np.testing.assert_allclose(found.margin_N, [0.95, 0.75, -0.65, 0.45, 0.25])


def test_a_label_that_nobody_bears_is_never_believed() -> None:
    probabilities = np.column_stack([two(BELIEVED_1) * 0.2, np.full(5, 0.8)])
    found = check_labels(probabilities, GIVEN)
    assert (found.other_N < 2).all()
    assert found.joint_KK[:, 2].sum() == 0 and found.joint_KK.sum() == pytest.approx(5)


def test_a_rare_label_is_doubted_by_its_own_measure() -> None:
    """Where 0 is usual, half as much belief in it is little; 0.46 in 1 is much."""
    believed = np.array([*[0.03] * 18, 0.46, 0.4, 0.5])
    found = check_labels(two(believed), np.array([*[0] * 19, 1, 1]))
    assert found.is_doubtful_N.tolist() == [False] * 18 + [True, False, False]
    assert int(found.margin_N.argmin()) == 18


def test_planted_errors_come_first() -> None:
    """A model that separates two classes well finds most of one label in twenty turned round."""
    random = np.random.default_rng(0)
    true_N = random.integers(0, 2, 4000)
    signal_N = random.normal((2 * true_N - 1) * 1.25, 1.0)
    turned_N = random.random(4000) < 0.05
    probabilities = two(1 / (1 + np.exp(-2.5 * signal_N)))
    found = check_labels(probabilities, np.where(turned_N, 1 - true_N, true_N))
    first = np.argsort(found.margin_N)[: turned_N.sum()]
    assert turned_N[first].mean() > 0.55, "precision, and recall, for as many are taken"
    assert found.joint_KK.sum() == pytest.approx(4000)
    assert found.expected > turned_N.sum(), "what the model gets wrong surely is counted too"
