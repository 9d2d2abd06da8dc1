"""How many seeds or test examples would settle a question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from verdicts import World
from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import SeedVariance, seed_variances
from welltuned.experiments.comparison.verdict.settling import (
    again_command,
    least_tolerance,
    need_of,
)

Z = stats.norm.isf(0.05)


def score(error: float, seeds: int = 3, examples: int = 1000) -> ResampledScore:
    """Its mean has this standard error by examples, exactly."""
    noise = np.array([-error, error]) / np.sqrt(2)
    return ResampledScore(np.zeros(seeds), noise, np.zeros((seeds, examples)))


def seeds_of(variance: float, seeds: int = 3) -> SeedVariance:
    return SeedVariance(variance / seeds, variance, 6.0)


BEST = score(0.0)


def test_so_many_seeds_that_the_tolerance_is_as_wide_as_the_interval() -> None:
    of_seed = 0.02**2
    need = need_of(score(0.001), BEST, (seeds_of(of_seed), seeds_of(of_seed)), 0.002, 0.02)
    assert need is not None and need.seeds is not None and need.examples is None

    def error(seeds: int) -> float:
        return float(Z * np.sqrt(0.001**2 + 2 * of_seed / seeds))

    assert error(need.seeds) <= 0.018 < error(need.seeds - 1)


def test_where_seeds_cannot_do_it_so_many_test_examples() -> None:
    need = need_of(score(0.02), BEST, (seeds_of(0.0), seeds_of(0.0)), 0.0, 0.01)
    assert need is not None and need.seeds is None and need.examples is not None
    exact = 1000 * (0.02 * Z / 0.01) ** 2
    assert exact <= need.examples <= exact * 1.1


def test_where_both_are_few_both_are_needed() -> None:
    need = need_of(score(0.02), BEST, (seeds_of(0.0003), seeds_of(0.0003)), 0.0, 0.02)
    assert need is not None and need.seeds == 20 and need.examples is not None


def test_what_is_too_far_below_needs_nothing() -> None:
    assert need_of(score(0.001), BEST, (seeds_of(0), seeds_of(0)), 0.03, 0.02) is None


def test_the_least_tolerance_is_that_of_strategies_that_are_as_good() -> None:
    scored = World(np.full(4, 0.85), np.full(4, 0.004), 3, 1000).scored(np.random.default_rng(0))
    seeds = seed_variances(scored)
    few = least_tolerance(scored, seeds, "s0")
    many = World(np.full(4, 0.85), np.full(4, 0.004), 3, 9000).scored(np.random.default_rng(0))
    more = least_tolerance(many, seed_variances(many), "s0")
    assert few is not None and more is not None and 0 < more < few < 0.05
    assert least_tolerance({"s0": scored["s0"]}, seeds, "s0") is None


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("welltuned compare a.yaml", "welltuned compare a.yaml output_dir=c"),
        ("welltuned compare a.yaml seeds=2 tune=4", "welltuned compare a.yaml tune=4 output_dir=c"),
        ("welltuned demo output_dir=b", "welltuned demo output_dir=c"),
        (None, "welltuned compare … output_dir=c"),
    ],
)
def test_the_command_goes_on_in_the_folder(command: str | None, expected: str) -> None:
    assert again_command(command, Path("c")) == expected
