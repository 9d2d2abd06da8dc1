"""Dimensions: what Optuna draws, what configs hold, and back."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from welltuned.experiments.search.space import Choices, Dimension, Interval

RATE = Interval("training.learning_rate", 1e-5, 1e-2, log=True)
RANK = Interval("strategy.r", 4, 64, log=True, whole=True)
TARGETS = Choices("strategy.target_modules", ("auto", ["query", "value"], None, 3))


@pytest.mark.parametrize("dimension", [RATE, RANK, TARGETS], ids=lambda d: d.key)
def test_what_is_drawn_belongs_to_the_dimension_and_survives_the_way_back(
    dimension: Dimension,
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: list[Any] = []
    for _ in range(40):
        drawn = study.ask({"x": dimension.distribution()}).params["x"]
        value = dimension.value(drawn)
        assert dimension.holds(value)
        assert dimension.parameter(value) == drawn
        seen.append(value)
    assert len({str(value) for value in seen}) >= 4
    for end in dimension.ends:
        assert dimension.distribution()._contains(
            dimension.distribution().to_internal_repr(dimension.parameter(end))
        )


def test_whole_numbers_stay_whole() -> None:
    assert isinstance(RANK.value(RANK.parameter(8)), int)
    assert RANK.ends == (4, 64) and all(isinstance(end, int) for end in RANK.ends)
    assert isinstance(RATE.value(1), float)


def test_half_of_the_draws_by_factors_lie_below_the_geometric_middle() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [study.ask({"x": RATE.distribution()}).params["x"] for _ in range(200)]
    assert 70 < sum(value < (1e-5 * 1e-2) ** 0.5 for value in drawn) < 130


@pytest.mark.parametrize("outside", [3, 65, 4.5, "8", None, True])
def test_what_lies_outside_is_told(outside: Any) -> None:
    assert not RANK.holds(outside)
    assert RANK.holds(4) and RANK.holds(64)


def test_lists_are_values_like_others() -> None:
    assert TARGETS.value('["query", "value"]') == ["query", "value"]
    assert TARGETS.holds(["query", "value"]) and not TARGETS.holds(["query"])


def test_a_dimension_reads_well() -> None:
    assert str(RATE) == "1e-05 to 0.01, by factors"
    assert str(TARGETS) == 'auto | ["query", "value"] | None | 3'
    assert RANK.as_dict() == {"low": 4, "high": 64, "log": True}
