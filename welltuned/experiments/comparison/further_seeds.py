"""Further seeds: what a time budget has left goes to the strategies that are still in question."""

from __future__ import annotations

from collections.abc import Collection
from statistics import mean

from welltuned.experiments.comparison.budget import seconds_left
from welltuned.experiments.comparison.plan import ComparisonPlan
from welltuned.experiments.comparison.summary import rank_strategies
from welltuned.experiments.comparison.verdict.elimination import is_settled


def in_question(plan: ComparisonPlan, gone: Collection[str]) -> list[str]:
    """The strategies that are not settled, where the time suffices for another seed of each.

    `gone` are those that were dropped. Empty where there is no time budget or it is used up, where
    nothing is in question, and where strategies are not dropped at all.
    """
    if not plan.config.is_adaptive:
        return []
    taken = {
        row.name: [cell.seconds for cell in row.cells if cell.seconds] for row in plan.board.rows
    }
    spent = plan.record["scouted"].get("seconds", 0.0)
    spent += sum(found["seconds"] for found in plan.record["tuned"].values())
    left = seconds_left(plan.config, spent, [seconds for own in taken.values() for seconds in own])
    if left <= 0:
        return []
    standings = rank_strategies(plan.comparison)["standings"]
    if is_settled(standings, gone):
        return []
    names = [one["name"] for one in standings if one["name"] not in gone]
    return names if sum(mean(taken[name]) for name in names) <= left else []
