"""Successive elimination: after each round of seeds, strategies that are surely worse are dropped.

A strategy is dropped once the probability that it is within the tolerance of the best is below its
share of 5%: that is divided equally among the rounds after which is looked (Bonferroni's way of
spending it, so that it holds however many looks there are). Two seeds of each come first, for one
tells nothing about seeds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from welltuned.experiments.comparison.verdict.recommendation import SURE
from welltuned.runs.comparison_schema import StandingRecord

_FALSE = 0.05
FIRST_LOOK = 2
"""Rounds of seeds before anything is dropped."""


def dropped(standings: Sequence[StandingRecord], rounds: int) -> list[str]:
    """Those that are surely more than the tolerance below the best; of so many rounds in all."""
    looks = max(rounds - FIRST_LOOK, 1)
    return [one["name"] for one in standings if one["within"] < _FALSE / looks]


def is_settled(standings: Sequence[StandingRecord], gone: Collection[str]) -> bool:
    """Whether more seeds could change nothing: one strategy is left, or all that are left are
    shown to be within the tolerance of the best."""
    left = [one for one in standings if one["name"] not in gone]
    return len(left) <= 1 or all(one["within"] >= SURE for one in left)
