"""Linear CKA, without the bias of wide features."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.evaluation.cka import linear_cka

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(60, 200)) @ np.diag(RANDOM.uniform(0.1, 3, 200))


def biased_cka(one: np.ndarray, other: np.ndarray) -> float:
    """As Kornblith et al. 2019 write it."""
    one, other = one - one.mean(0), other - other.mean(0)
    top = np.linalg.norm(one.T @ other) ** 2
    return float(top / np.linalg.norm(one.T @ one) / np.linalg.norm(other.T @ other))


def test_features_are_the_same_as_themselves_turned_scaled_and_shifted() -> None:
    turn, _ = np.linalg.qr(RANDOM.normal(size=(200, 200)))
    assert linear_cka(FEATURES, FEATURES) == pytest.approx(1, abs=1e-12)
    assert linear_cka(FEATURES, 3 * FEATURES @ turn + 5) == pytest.approx(1, abs=1e-9)


def test_unrelated_wide_features_are_not_alike() -> None:
    """The plain estimator takes them for near relatives."""
    other = RANDOM.normal(size=(60, 200))
    assert biased_cka(FEATURES, other) > 0.6
    assert abs(linear_cka(FEATURES, other)) < 0.1


def test_it_falls_as_features_are_mixed_with_others() -> None:
    noise = RANDOM.normal(size=FEATURES.shape) * FEATURES.std()
    values = [linear_cka(FEATURES, FEATURES + share * noise) for share in (0, 0.5, 1, 3)]
    assert values == sorted(values, reverse=True) and values[0] - values[-1] > 0.3


def test_it_agrees_with_the_plain_one_on_many_texts_of_narrow_features() -> None:
    one = RANDOM.normal(size=(1500, 4))
    other = one + 0.7 * RANDOM.normal(size=(1500, 4))
    assert linear_cka(one, other) == pytest.approx(biased_cka(one, other), abs=0.02)


def test_the_estimator_is_the_published_one_on_a_hand_example() -> None:
    """HSIC of Song et al. 2012: the mean over all quadruples of different texts."""
    from itertools import permutations

    one, other = RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(6, 3))

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        k, m = a @ a.T, b @ b.T
        terms = [
            k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)
        ]
        return float(np.mean(terms))

    expected = hsic(one, other) / np.sqrt(hsic(one, one) * hsic(other, other))
    assert linear_cka(one, other) == pytest.approx(expected, rel=1e-9)


def test_features_that_are_all_alike_have_no_similarity() -> None:
    assert linear_cka(np.ones((8, 3)), FEATURES[:8]) == 0.0
