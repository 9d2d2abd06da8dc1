"""Strategies that are surely worse are dropped, and nothing that is in question."""

from __future__ import annotations

from typing import Any

import pytest

from verdicts import elimination
from welltuned.experiments.comparison.verdict.elimination import dropped, is_settled


def standings(**within: float) -> list[Any]:
    return [{"name": name, "within": chance} for name, chance in within.items()]


def test_what_is_surely_worse_is_dropped_and_more_looks_must_be_surer() -> None:
    found = standings(best=0.9, near=0.3, far=0.03, farther=0.01)
    assert dropped(found, rounds=3) == ["far", "farther"]
    assert dropped(found, rounds=5) == ["farther"], "of three looks each has a third of 5%"


def test_it_is_settled_where_one_is_left_or_all_that_are_left_are_as_good() -> None:
    found = standings(best=0.99, near=0.98, far=0.0)
    assert is_settled(found, gone=["far"])
    assert is_settled(standings(best=0.8, far=0.0), gone=["far"])
    assert not is_settled(standings(best=0.9, near=0.4, far=0.0), gone=["far"])


@pytest.mark.slow
def test_a_clear_winner_saves_two_cells_of_five_and_is_hardly_ever_dropped() -> None:
    for row in elimination(times=40):
        assert row["best_dropped"] <= 0.05, row
        if row["gap"] >= 0.05 and row["examples"] >= 1000:
            assert row["saved"] >= 0.4, row
        assert row["covered"] >= 0.89, row
