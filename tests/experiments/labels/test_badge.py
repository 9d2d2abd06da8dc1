"""BADGE: uncertain texts, unlike each other."""

from __future__ import annotations

import numpy as np

from welltuned.experiments.labels.badge import answer_errors, choose_batch


def binary(p_N: np.ndarray) -> np.ndarray:
    return answer_errors(np.stack([1 - p_N, p_N], axis=1), several=False)


def test_an_error_is_what_the_answer_lacks_in_probability() -> None:
    np.testing.assert_allclose(binary(np.array([0.9, 0.4])), [[0.1, -0.1], [-0.4, 0.4]])
    several = answer_errors(np.array([[0.9, 0.3]]), several=True)
    np.testing.assert_allclose(several, [[-0.1, 0.3]])


def test_what_the_model_is_sure_of_is_not_chosen() -> None:
    random = np.random.default_rng(0)
    features_NH = random.normal(size=(200, 8))
    p_N = np.where(np.arange(200) < 20, 0.5, 0.999)
    assert set(choose_batch(binary(p_N), features_NH, 15)) <= set(range(20))


def test_texts_that_are_alike_are_not_chosen_together() -> None:
    """Ten directions, twenty texts of each, all equally uncertain: ten texts, one of each."""
    features_NH = np.repeat(np.eye(10), 20, axis=0)
    chosen = choose_batch(binary(np.full(200, 0.5)), features_NH, 10)
    assert sorted(i // 20 for i in chosen) == list(range(10))


def test_distances_are_those_of_the_gradients_themselves() -> None:
    """The second is drawn in proportion to squared distances of error times features, from the
    first or from the origin."""
    random = np.random.default_rng(1)
    errors_NK, features_NH = random.normal(size=(6, 3)), random.normal(size=(6, 4))
    gradients = np.einsum("nk,nh->nkh", errors_NK, features_NH).reshape(6, -1)
    lengths = (gradients**2).sum(axis=1)
    first = int(lengths.argmax())
    chances = np.minimum(lengths, ((gradients - gradients[first]) ** 2).sum(axis=1))
    drawn = [choose_batch(errors_NK, features_NH, 2, seed) for seed in range(2000)]
    assert {one[0] for one in drawn} == {first}
    shares = np.bincount([one[1] for one in drawn], minlength=6) / 2000
    np.testing.assert_allclose(shares, chances / chances.sum(), atol=0.05)


def test_each_is_chosen_once_and_never_more_than_there_are() -> None:
    """Also where all are alike, and nothing is far from what is chosen."""
    same = np.ones((5, 3))
    chosen = choose_batch(binary(np.array([0.6, 0.5, 0.9, 0.7, 0.8])), same, 9)
    assert sorted(chosen) == [0, 1, 2, 3, 4] and chosen[0] == 1
    assert sorted(choose_batch(binary(np.full(4, 0.5)), same[:4], 4)) == [0, 1, 2, 3]
    assert choose_batch(np.zeros((0, 2)), np.zeros((0, 3)), 3) == []


def test_it_is_a_function_of_the_seed() -> None:
    random = np.random.default_rng(0)
    errors, features = binary(random.random(60)), random.normal(size=(60, 5))
    assert choose_batch(errors, features, 9) == choose_batch(errors, features, 9)
    assert choose_batch(errors, features, 9) != choose_batch(errors, features, 9, seed=1)
