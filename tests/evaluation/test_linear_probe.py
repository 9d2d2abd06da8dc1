"""Linear probes: ridge regression in closed form, its strength by leave-one-out errors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from welltuned.evaluation.linear_probe import (
    FOLDS,
    STRENGTHS,
    folds,
    read_off,
    right_out_of_fold,
    signed_one_hot,
)


@pytest.mark.parametrize("shape", [(300, 40), (40, 80)], ids=["tall", "wide"])
def test_it_answers_as_scikit_learn_does(shape: tuple[int, int]) -> None:
    """The same weights and the same choice of strength, for more rows than features or fewer."""
    random = np.random.default_rng(0)
    rows_NH = random.normal(size=shape) * random.uniform(0.1, 9, shape[1]) + 3
    targets_NK = rows_NH[:, :3] @ random.normal(size=(3, 2)) * 0.1 + random.normal(
        size=(shape[0], 2)
    )
    others_MH = random.normal(size=(7, shape[1]))
    scaler = StandardScaler().fit(rows_NH)
    theirs = RidgeCV(STRENGTHS).fit(scaler.transform(rows_NH), targets_NK)
    assert STRENGTHS[0] < theirs.alpha_ < STRENGTHS[-1], "the choice is not at an end"
    np.testing.assert_allclose(
        read_off(rows_NH, targets_NK, others_MH),
        theirs.predict(scaler.transform(others_MH)),
        atol=1e-9,
    )


def test_a_constant_feature_counts_for_nothing() -> None:
    """It would be divided by zero, and another value of it would outweigh everything."""
    random = np.random.default_rng(1)
    rows_NH = random.normal(size=(50, 4))
    rows_NH[:, 2] = 5.0
    others_MH = random.normal(size=(6, 4))
    changed_MH = others_MH.copy()
    changed_MH[:, 2] = 1e6
    targets_NK = rows_NH[:, :1]
    answers = read_off(rows_NH, targets_NK, others_MH)
    assert np.isfinite(answers).all()
    np.testing.assert_array_equal(answers, read_off(rows_NH, targets_NK, changed_MH))


def test_classes_are_plus_and_minus_one() -> None:
    assert signed_one_hot(np.array([2, 0]), 3).tolist() == [[-1, -1, 1], [1, -1, -1]]


def test_folds_hold_every_class_alike_and_follow_from_the_classes_alone() -> None:
    classes_N = np.repeat([0, 1, 2], [50, 20, 10])
    fold_N = folds(classes_N)
    for number, size in ((0, 10), (1, 4), (2, 2)):
        assert np.bincount(fold_N[classes_N == number], minlength=FOLDS).tolist() == [size] * FOLDS
    assert np.array_equal(fold_N, folds(classes_N))
    assert not np.array_equal(np.sort(fold_N), fold_N), "neighbours are not in one fold"


def test_what_was_fitted_on_is_not_scored() -> None:
    """A row's own label, written into its features, tells nothing of other rows."""
    random = np.random.default_rng(2)
    classes_N = random.integers(0, 2, 200)
    private_NH = np.eye(200) * np.where(classes_N, 9.0, -9.0)[:, None]
    assert right_out_of_fold(private_NH, classes_N).mean() < 0.6
    shared_NH = random.normal(size=(200, 5))
    shared_NH[:, 3] += np.where(classes_N, 4.0, -4.0)
    assert right_out_of_fold(shared_NH, classes_N).mean() > 0.98
