"""Recommendation: which strategy to use, by a stated rule and with reasons.

The rule: of the strategies within the limits that are shown to be non-inferior to the best of
them, the cheapest. Non-inferior means that the 95% interval of how far it is below the best, by
`posterior.py`, ends within the tolerance; the less evidence there is, the fewer are. Where none but
the best is, the best by posterior mean is taken, and of those that are level with it the cheapest.
Level are those that are expected to be, if they were also measured within the tolerance of the best
one: where evidence is weak, the model expects all strategies to be much alike, and that alone is no
reason to take the cheapest.

Cheapest is the one that trains fastest; of those within a tenth of it, the one that needs the least
memory; and of equals the one with the smallest artifact.
"""

from __future__ import annotations

from collections.abc import Mapping

from welltuned.experiments.comparison.verdict import reasons
from welltuned.experiments.comparison.verdict.cost import cheapest, known
from welltuned.experiments.comparison.verdict.limits import over_limits
from welltuned.runs.comparison_schema import (
    ComparisonRow,
    RankedRows,
    Recommendation,
    StandingRecord,
)
from welltuned.schema.messages import Message

SURE = 0.975
"""The probability of being within the tolerance that shows a strategy to be non-inferior: the 95%
interval, which leaves half of the rest on either side, then ends within it."""
_LEVEL = 0.2
"""Expected within this share of the tolerance of the best, a strategy is level with it."""
_PRICED = 2
"""Cheaper strategies whose price is told."""


def recommend(
    results: RankedRows, limits: Mapping[str, float | None], command: str = "welltuned compare …"
) -> Recommendation:
    """The strategy to take, or None, and why; `command` goes on with the comparison."""
    rows = {row["name"]: row for row in results["rows"] if row["kind"] == "strategy"}
    if results["best"] is None:
        return {"strategy": None, "reasons": [reasons.nothing_finished()]}
    said = [reasons.about_best(results, rows[results["best"]])]
    said += [reason for row in rows.values() for reason in over_limits(row, limits)]
    if not results["standings"]:
        said.append(reasons.none_within_limits())
        return {"strategy": None, "reasons": said + reasons.cautions(results)}
    among = [rows[name] for name in eligible(results["standings"], results["tolerance"])]
    choice = cheapest(among)
    return {
        "strategy": choice["name"],
        "slug": choice["slug"],
        "seed": choice["seeds"][0],
        "reasons": [
            *said,
            *_about_choice(choice, among, results),
            *_about_limits(choice, results),
            *_prices(choice, results, rows),
            *_what_settles(choice, results, rows, command),
            *reasons.about_learning(choice, results),
            *reasons.cautions(results),
        ],
    }


def non_inferior(standings: list[StandingRecord]) -> list[str]:
    """The strategies that are shown to be within the tolerance of the best, best first."""
    return [standing["name"] for standing in standings if standing["within"] >= SURE]


def eligible(standings: list[StandingRecord], tolerance: float) -> list[str]:
    """Those of which the cheapest is taken: the non-inferior ones; where none but the best by
    posterior mean is among them, that one and those that are level with it."""
    first, shown = standings[0], non_inferior(standings)
    if {*shown} - {first["name"]}:
        return shown
    expected = first["gap"] + _LEVEL * tolerance
    level = [one for one in standings if one["gap"] <= expected and one["behind"] <= tolerance]
    return list(dict.fromkeys([first["name"], *(one["name"] for one in level)]))


def _about_choice(
    choice: ComparisonRow, among: list[ComparisonRow], results: RankedRows
) -> list[Message]:
    said = [reasons.about_group(results)]
    if len(among) > 1:
        said.append(reasons.about_cost(choice, among))
    first = results["standings"][0]["name"]
    if choice["name"] != first:
        own = next(one for one in results["standings"] if one["name"] == choice["name"])
        said.append(reasons.about_gap(own, first))
    return said


def _about_limits(choice: ComparisonRow, results: RankedRows) -> list[Message]:
    """What the limits cost in score, where the best strategy is beyond them."""
    best = results["best"]
    if best in {standing["name"] for standing in results["standings"]}:
        return []
    sides = {best, choice["name"]}
    pair = next(pair for pair in results["pairs"] if {pair["one"], pair["other"]} == sides)
    return [reasons.price_of_limits(pair)]


def _what_settles(
    choice: ComparisonRow,
    results: RankedRows,
    rows: Mapping[str, ComparisonRow],
    command: str,
) -> list[Message]:
    """What would show that a cheaper strategy is non-inferior; or that no such data can."""
    tolerance, least = results["tolerance"], results["least_tolerance"]
    cost = known(choice["cost"]["train_seconds"])
    unshown = [
        standing
        for standing in results["standings"]
        if standing["name"] not in results["group"]
        and (standing["needed_seeds"] or standing["needed_examples"])
        and known(rows[standing["name"]]["cost"]["train_seconds"]) < cost
    ]
    said = []
    if least is not None and tolerance < least:
        said.append(reasons.tolerance_too_fine(tolerance, least))
    if unshown:
        names = [standing["name"] for standing in unshown]
        open_one = cheapest([rows[name] for name in names])["name"]
        said.append(reasons.settled_by(unshown[names.index(open_one)], tolerance, command))
    return said


def _prices(
    choice: ComparisonRow, results: RankedRows, rows: Mapping[str, ComparisonRow]
) -> list[Message]:
    """What cheaper strategies of the Pareto front would cost in score."""
    told: list[Message] = []
    cost = known(choice["cost"]["train_seconds"])
    for standing in results["standings"]:  # best first, so each must be cheaper than the last
        own = known(rows[standing["name"]]["cost"]["train_seconds"])
        if standing["name"] != choice["name"] and own < cost and len(told) < _PRICED:
            told.append(reasons.about_price(standing, rows[standing["name"]], choice))
            cost = own
    return told
