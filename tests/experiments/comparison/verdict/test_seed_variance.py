"""The variance from seed to seed, pooled over strategies with shrinkage."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy import stats

from verdicts import World, coverage, world
from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import (
    combined_freedom,
    half_width,
    score_interval,
    seed_variances,
)


def of_seeds(*values: float) -> ResampledScore:
    """As if so many test examples had been asked that they add nothing."""
    seeds = np.array(values)
    return ResampledScore(seeds, np.full(9, seeds.mean()), np.zeros((len(seeds), 100)))


def test_alone_it_is_that_of_its_own_seeds() -> None:
    score = of_seeds(0.80, 0.82, 0.87)
    seeds = seed_variances({"a": score})["a"]
    assert seeds.of_seed == pytest.approx(np.var(score.values_S, ddof=1)) and seeds.freedom == 2
    values = score.values_S
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert score_interval(score, seeds) == pytest.approx(expected)


def test_beside_others_it_is_drawn_towards_what_all_have_together() -> None:
    """Four strategies of two seeds: one degree of freedom of its own, three of the others."""
    scored = {
        name: of_seeds(0.0, 2.0 * gap) for name, gap in zip("abcd", (1, 2, 3, 0.5), strict=True)
    }
    own = {name: float(score.values_S.var(ddof=1)) for name, score in scored.items()}
    pooled = np.mean(list(own.values()))
    for name, found in seed_variances(scored).items():
        assert found.freedom == 4
        assert found.of_seed == pytest.approx((3 * pooled + own[name]) / 4)
        assert found.of_mean == pytest.approx(found.of_seed / 2)
    many = {f"s{k}": of_seeds(0.0, 1.0, 2.0) for k in range(9)}
    assert seed_variances(many)["s0"].freedom == 4 + 2, "the others count for four at most"


def test_one_seed_is_known_from_those_of_the_others() -> None:
    scored = {"a": of_seeds(0.0, 1.0, 2.0), "b": of_seeds(0.5)}
    found = seed_variances(scored)
    assert found["b"].of_seed == pytest.approx(1.0) and found["b"].freedom == 2
    alone = seed_variances({"b": of_seeds(0.5)})["b"]
    assert (alone.of_mean, alone.freedom) == (0, inf)


def test_what_has_no_seeds_has_no_variance_by_them() -> None:
    """A baseline that is computed, and a strategy whose seeds all answer alike."""
    scored = {"a": of_seeds(0.0, 1.0), "same": of_seeds(0.5, 0.5), "tf-idf": of_seeds(0.4)}
    found = seed_variances(scored, seedless=["tf-idf"])
    assert found["same"].of_mean == found["tf-idf"].of_mean == 0
    assert found["a"].freedom == 1, "they tell nothing about the seeds of others"


def test_what_examples_add_to_each_seed_counts_once() -> None:
    random = np.random.default_rng(0)
    scored = World(np.full(6, 0.85), np.zeros(6), 3, 1000).scored(random)
    for score, found in zip(scored.values(), seed_variances(scored).values(), strict=True):
        assert found.of_seed < score.within_seed_variance, "seeds do nothing here"


def test_degrees_of_freedom_are_satterthwaites() -> None:
    assert combined_freedom([(1.0, 5.0), (0.0, 1.0)]) == pytest.approx(5)
    assert combined_freedom([(1.0, 5.0), (1.0, 5.0)]) == pytest.approx(10)
    assert combined_freedom([(1.0, inf)]) == inf
    assert half_width([(4.0, inf)]) == pytest.approx(1.96 * 2, rel=1e-3)
    assert half_width([(0.0, 3.0)]) == 0


def test_intervals_hold_the_truth_in_95_of_100() -> None:
    """In a few simulated comparisons; `make simulate` makes many. One of them may lie beside."""
    random, held = np.random.default_rng(4), []
    for _ in range(40):
        one = world(random, 0.01, 2, 400)
        scored = one.scored(random)
        found = seed_variances(scored)
        for (name, score), true in zip(scored.items(), one.truth_K, strict=True):
            low, high = score_interval(score, found[name])
            held.append(low <= true <= high)
    assert 0.91 <= np.mean(held) <= 0.99


@pytest.mark.slow
def test_they_do_so_with_two_three_and_five_seeds() -> None:
    for row in coverage(times=200):
        assert 0.92 <= row["covered"] <= 0.985, row
