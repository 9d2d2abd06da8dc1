"""Scores with what they rest on."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.experiments.comparison.verdict.scores import ResampledScore, score_all
from welltuned.metrics import Statistic


def mean_of(values_N: np.ndarray) -> Statistic:
    parts_N2 = np.stack([values_N, np.ones(len(values_N))], axis=1)
    return Statistic(parts_N2, lambda sums: sums[:, 0] / sums[:, 1])


def scored(values_SN: np.ndarray, sign: float = 1.0) -> ResampledScore:
    return score_all({"one": [mean_of(values) for values in values_SN]}, sign)["one"]


def test_the_variances_of_a_mean_are_the_textbook_s() -> None:
    values_SN = np.random.default_rng(0).normal(size=(3, 4000))
    score = scored(values_SN)
    assert score.mean == pytest.approx(values_SN.mean())
    assert score.examples_variance == pytest.approx(1 / 3 / 4000, rel=0.2)
    assert score.within_seed_variance == pytest.approx(1 / 4000, rel=0.1)
    assert (score.seeds, score.examples) == (3, 4000)


def test_what_examples_do_to_all_seeds_alike_sets_no_seed_apart() -> None:
    shared_N = np.random.default_rng(1).normal(size=500)
    score = scored(np.stack([shared_N, shared_N + 0.1]))
    assert score.within_seed_variance == pytest.approx(0, abs=1e-12)
    assert not score.is_deterministic, "the seeds differ by a tenth"


def test_a_strategy_whose_seeds_answer_alike_is_deterministic() -> None:
    values_N = np.random.default_rng(2).normal(size=50)
    assert scored(np.stack([values_N, values_N])).is_deterministic
    assert not scored(values_N[None]).is_deterministic, "of one seed nobody knows"


def test_of_losses_more_is_better_too() -> None:
    values_SN = np.random.default_rng(3).normal(size=(2, 30))
    up, down = scored(values_SN), scored(values_SN, -1.0)
    assert down.mean == -up.mean
    np.testing.assert_allclose(down.influence_N, -up.influence_N)


def test_of_nothing_there_is_no_score() -> None:
    assert score_all({}, 1.0) == {}
