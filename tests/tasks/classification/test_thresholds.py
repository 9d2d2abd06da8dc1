"""Thresholds of several labels, each against trying everything."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from welltuned.tasks.classification.thresholds import (
    best_threshold,
    cost_thresholds,
    cost_worth,
    f1_thresholds,
    f1_worth,
    neutral_threshold,
    too_few,
)


def drawn(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of two digits, so that some are equal, and whether they came true."""
    random = np.random.default_rng(seed)
    chances_N = random.beta(1, 4, size=number).round(2)
    return chances_N, random.random(number) < chances_N


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_better_f1(seed: int) -> None:
    chances_N, true_N = drawn(80, seed)
    found = best_threshold(chances_N, true_N, f1_worth)
    tried = [metrics.f1_score(true_N, chances_N > one) for one in np.linspace(0, 0.99, 100)]
    assert metrics.f1_score(true_N, chances_N > found) == pytest.approx(max(tried))


@pytest.mark.parametrize("costs", [(1.0, 1.0), (10.0, 1.0), (1.0, 5.0), (0.0, 1.0), (1.0, 0.0)])
def test_no_threshold_costs_less(costs: tuple[float, float]) -> None:
    chances_N, true_N = drawn(80)
    missed, alarm = costs

    def cost(threshold: float) -> float:
        said_N = chances_N > threshold
        return missed * (true_N & ~said_N).sum() + alarm * (said_N & ~true_N).sum()

    found = best_threshold(chances_N, true_N, cost_worth(costs))
    assert cost(found) == min(cost(one) for one in (-1, *np.linspace(0, 1, 101)))


def test_of_equal_ones_the_nearest_to_a_half_is_taken_between_two_probabilities() -> None:
    assert best_threshold(np.array([0.9, 0.2, 0.1]), np.array([1, 0, 0]), f1_worth) == 0.55
    nothing = best_threshold(np.array([0.3, 0.2]), np.array([0, 0]), f1_worth)
    assert nothing == 0.65, "without an example nothing is predicted"


def test_a_label_that_is_hard_to_tell_gets_a_low_threshold_of_its_own() -> None:
    random = np.random.default_rng(0)
    easy, hard = random.random(400) < 0.5, random.random(400) < 0.2
    chances_NK = np.stack(
        [np.where(easy, 0.9, 0.1), np.where(hard, 0.35, 0.15) + 0.05 * random.random(400)], axis=1
    )
    first, second = f1_thresholds(chances_NK, np.stack([easy, hard], axis=1))
    assert 0.1 < first < 0.9 and 0.2 < second < 0.35


def test_labels_of_few_examples_share_one_threshold() -> None:
    random = np.random.default_rng(1)
    true_NK = random.random((100, 3)) < 0.4
    true_NK[:, 1:] = False
    true_NK[:2, 1] = true_NK[2:5, 2] = True
    chances_NK = np.where(true_NK, 0.4, 0.1) + 0.1 * random.random((100, 3))
    assert too_few(true_NK).tolist() == [False, True, True]
    own, second, third = f1_thresholds(chances_NK, true_NK)
    assert second == third != own and 0.2 < second < 0.4


def test_labels_of_few_examples_go_by_what_errors_cost() -> None:
    """Where a miss costs four times as much, one in five is enough."""
    costs = ((4.0, 1.0), (1.0, 1.0))
    chances_NK, true_NK = np.full((30, 2), 0.3), np.zeros((30, 2), dtype=bool)
    assert neutral_threshold(costs[0]) == 0.2
    assert cost_thresholds(chances_NK, true_NK, costs) == (0.2, 0.5)
