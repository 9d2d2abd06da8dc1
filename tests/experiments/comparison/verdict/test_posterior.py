"""How far each strategy is below the best, from a hierarchical model."""

from __future__ import annotations

import numpy as np
import pytest

from verdicts import World, world
from welltuned.experiments.comparison.verdict.posterior import posterior_draws, standings
from welltuned.experiments.comparison.verdict.recommendation import SURE
from welltuned.experiments.comparison.verdict.seed_variance import seed_variances

TOLERANCE, SCALE = 0.01, 0.02


def test_what_is_known_exactly_is_believed() -> None:
    means = np.array([0.9, 0.8, 0.85])
    draws = posterior_draws(means, np.diag([1e-10] * 3), SCALE)
    np.testing.assert_allclose(draws.mean(axis=0), means, atol=1e-4)
    assert draws.std(axis=0).max() < 1e-3


def test_what_is_noise_is_drawn_together() -> None:
    """A spread of a point, with an error of three: strategies are taken to be nearly alike."""
    means = np.array([0.85, 0.84, 0.86, 0.85])
    draws = posterior_draws(means, np.diag([0.03**2] * 4), SCALE)
    assert np.ptp(draws.mean(axis=0)) < 0.4 * np.ptp(means)
    assert draws.mean() == pytest.approx(0.85, abs=2e-3)


def test_what_moves_all_alike_sets_none_apart() -> None:
    """The test examples are hard or easy for all: that says nothing about differences."""
    means = np.array([0.85, 0.83])
    together = np.full((2, 2), 0.05**2) + np.diag([1e-8, 1e-8])
    draws = posterior_draws(means, together, SCALE)
    assert (draws[:, 0] - draws[:, 1]).mean() == pytest.approx(0.02, abs=1e-3)
    assert draws[:, 0].std() > 0.03


def test_the_posterior_is_that_of_brute_force() -> None:
    """Two strategies: weights of a fine grid of both true scores and their spread."""
    means, errors = np.array([0.02, 0.0]), np.array([0.01, 0.015])
    draws = posterior_draws(means, np.diag(errors**2), SCALE, draws=40000)
    taus = np.geomspace(SCALE / 50, SCALE * 50, 400)
    variance = errors @ errors + 2 * taus**2  # of the difference, for a flat mean
    weight = np.exp(-(0.02**2) / 2 / variance) / np.sqrt(variance)
    weight *= np.gradient(taus) / (1 + (taus / SCALE) ** 2)
    expected = np.average(2 * taus**2 / variance * 0.02, weights=weight)
    assert (draws[:, 0] - draws[:, 1]).mean() == pytest.approx(expected, rel=0.05)


def test_one_strategy_alone_is_the_best() -> None:
    scored = World(np.array([0.8]), np.array([0.01]), 3, 100).scored(np.random.default_rng(0))
    [only] = standings(scored, seed_variances(scored), TOLERANCE, SCALE)
    assert (only.gap, only.within) == (0, 1)
    assert standings({}, {}, TOLERANCE, SCALE) == []


def test_the_more_is_known_the_more_is_shown() -> None:
    """Equal strategies, of many test examples and of few."""
    shown = {}
    for examples in (200, 20000):
        one = World(np.full(5, 0.85), np.full(5, 0.002), 5, examples)
        scored = one.scored(np.random.default_rng(1))
        found = standings(scored, seed_variances(scored), TOLERANCE, SCALE)
        shown[examples] = sum(standing.within >= SURE for standing in found)
        assert [standing.expected for standing in found] == sorted(
            (standing.expected for standing in found), reverse=True
        )
    assert shown[20000] == 5 > shown[200]


def test_who_is_clearly_worse_is_not_shown_to_be_as_good() -> None:
    random = np.random.default_rng(2)
    for _ in range(10):
        one = world(random, 0.05, 3, 1000)
        scored = one.scored(random)
        found = {s.name: s for s in standings(scored, seed_variances(scored), TOLERANCE, SCALE)}
        best = int(one.truth_K.argmax())
        for k in range(len(one.truth_K)):
            assert (found[f"s{k}"].within > 0.5) == (k == best)
        assert found[f"s{best}"].low == 0


def test_equal_questions_have_equal_answers() -> None:
    means, covariance = np.array([0.1, 0.2]), np.diag([1e-3, 2e-3])
    first, again = (posterior_draws(means, covariance, SCALE) for _ in range(2))
    np.testing.assert_array_equal(first, again)
