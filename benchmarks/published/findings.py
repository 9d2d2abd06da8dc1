"""The figures in the prose of the page, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import chi2, norm, t

from published.differences import (
    ALPHA,
    not_ruled_out,
    paired_bounds,
    questions_needed,
    runs_needed,
    standard_error,
    two_proportions,
    wilson,
)
from published.records import Published, Record
from published.reruns import Layout, rank_correlation
from published.standing import (
    FIRST,
    LAST,
    LATER,
    SPRING,
    Standing,
    beside_the_best,
    pairs_told_apart,
    twice_run,
)

MARGIN = 0.01
"""One point: the tolerance that `welltuned compare` has where none is given."""
TOP, LEADERS = 10, 4
AHEAD = 5
"""Of the first rerun, to see what became of them in the last."""


def figures(published: Published) -> dict[str, str]:
    """Every figure that a template may name."""
    rows, layout = published.of(LAST, LATER), twice_run(published)
    standings = beside_the_best(rows, layout)
    return {
        **_of_the_table(rows, standings, layout),
        **_of_pairs(rows[:TOP], layout),
        **_of_reruns(layout, published),
        **_of_the_tolerance(standings, layout),
        **_of_forgetting(rows, published),
        **_of_costs(standings),
        **_of_each(rows),
    }


def points(share: float) -> str:
    """A share in points, to a tenth."""
    return f"{100 * share:.1f}"


def moved(share: float) -> str:
    """The same with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def _of_the_table(
    rows: Sequence[Record], standings: Sequence[Standing], layout: Layout
) -> dict[str, str]:
    best, comparisons = rows[0], len(rows) - 1
    group = [standing.record for standing in standings if standing.may_be_best]
    error = standard_error(best.correct, best.correct, best.questions)
    alpha = ALPHA / 2 / comparisons
    noise = layout.run_sd * math.sqrt(2)
    low, high = wilson(best.correct, best.questions)
    return {
        "questions": f"{best.questions:,}",
        "rows": str(len(rows)),
        "comparisons": str(comparisons),
        "best": " and ".join(row.name for row in rows if row.correct == best.correct),
        "best zh": " 与 ".join(row.name for row in rows if row.correct == best.correct),
        "group": str(len(group)),
        "lowest of group": points(min(record.accuracy for record in group)),
        "error": points(error),
        "half": points((high - low) / 2),
        "visible": points(float(norm.isf(alpha)) * error),
        "visible by noise": points(float(t.isf(alpha, layout.freedom)) * noise),
    }


def _of_pairs(top: Sequence[Record], layout: Layout) -> dict[str, str]:
    def counts(one: Record, other: Record) -> tuple[int, int, int]:
        return one.correct, other.correct, one.questions

    asked: dict[str, Callable[[Record, Record], float]] = {
        "apart unpaired": lambda one, other: two_proportions(*counts(one, other)),
        "apart at best": lambda one, other: paired_bounds(*counts(one, other)).best,
        "apart at worst": lambda one, other: paired_bounds(*counts(one, other)).worst,
        "apart by noise": lambda one, other: layout.p_of_difference(
            one.accuracy - other.accuracy, runs=1
        ),
    }
    return {
        "top": str(len(top)),
        "pairs": str(len(top) * (len(top) - 1) // 2),
        "top spread": points(top[0].accuracy - top[-1].accuracy),
        **{name: str(pairs_told_apart(top, p_of)) for name, p_of in asked.items()},
    }


def _of_reruns(layout: Layout, published: Published) -> dict[str, str]:
    changes_M = layout.scores_MR[:, -1] - layout.scores_MR[:, 0]
    by_first = changes_M[np.argsort(-layout.scores_MR[:, 0], kind="stable")]
    spring = published.of(SPRING)
    again = {record.name: record for record in published.of(LAST)}
    alone = next(record for record in spring if record.name not in again)
    best = published.of(LAST, LATER)[0]
    low, high = (
        layout.run_sd * math.sqrt(layout.freedom / float(chi2.isf(tail, layout.freedom)))
        for tail in (ALPHA / 2, 1 - ALPHA / 2)
    )
    return {
        "methods": str(len(layout.names)),
        "shift": moved(float(changes_M.mean())),
        "largest fall": moved(float(changes_M.min())),
        "falling most": layout.names[int(changes_M.argmin())],
        "run sd": f"{100 * layout.run_sd:.2f}",
        "run sd low": f"{100 * low:.1f}",
        "run sd high": f"{100 * high:.1f}",
        "method sd": f"{100 * math.sqrt(layout.method_variance):.2f}",
        "equal p": f"{layout.p:.3f}",
        "reliability": f"{layout.reliability:.2f}",
        "rank correlation": f"{layout.rank_correlation():.2f}",
        "ahead": str(AHEAD),
        "ahead moved": moved(float(by_first[:AHEAD].mean())),
        "behind": str(len(by_first) - AHEAD),
        "behind moved": moved(float(by_first[AHEAD:].mean())),
        "twice best": layout.names[0],
        "twice worse": ", ".join(_worse_in_both(layout)),
        "spring moved": ", ".join(
            f"{record.name} {moved(again[record.name].accuracy - record.accuracy)}"
            for record in spring
            if record.name in again
        ),
        "alone": alone.name,
        "alone accuracy": points(alone.accuracy),
        "alone ahead": points(alone.accuracy - best.accuracy),
        "alone p": f"{two_proportions(alone.correct, best.correct, best.questions):.2f}",
    }


def _worse_in_both(layout: Layout) -> Iterator[str]:
    for name, mean in zip(layout.names[1:], layout.means[1:], strict=True):
        p = layout.p_of_difference(float(layout.means[0] - mean), runs=2)
        if p * (len(layout.names) - 1) < ALPHA:
            yield name


def _of_the_tolerance(standings: Sequence[Standing], layout: Layout) -> dict[str, str]:
    best, nearest, comparisons = standings[0].record, standings[1], len(standings) - 1
    unpaired = 2 * best.accuracy * (1 - best.accuracy)
    paired = 2 * layout.run_variance * best.questions
    noise = layout.run_sd * math.sqrt(2)
    found = {
        "not ruled out": points(not_ruled_out(nearest.behind, nearest.error, comparisons)),
        "not ruled out by noise": points(
            nearest.behind + float(t.isf(ALPHA / comparisons, layout.freedom)) * noise
        ),
        "disagreement": f"{100 * paired:.0f}%",
        "independent": f"{100 * unpaired:.0f}%",
        "paired share": f"{100 * math.sqrt(paired / unpaired):.0f}%",
    }
    for name, number in (("one", 1), ("nine", TOP - 1)):
        found |= {
            f"questions {name}": f"{questions_needed(unpaired, MARGIN, number):,}",
            f"questions {name} paired": f"{questions_needed(paired, MARGIN, number):,}",
            f"runs {name}": str(runs_needed(layout.run_sd, MARGIN, number)),
        }
    return found


def _of_forgetting(rows: Sequence[Record], published: Published) -> dict[str, str]:
    known = [row for row in rows if row.forgetting is not None]
    top = [row for row in rows[:TOP] if row.forgetting is not None]
    least, most = min(top, key=_forgetting), max(top, key=_forgetting)
    full, plain = (published.one(name, LAST) for name in ("full", "LoRA r=32"))
    times = [_forgetting(row) / _forgetting(plain) for row in top[:LEADERS]]
    before = {record.name: record.unmended for record in published.of(FIRST)}
    both = [(before[row.name], _forgetting(row)) for row in known if before.get(row.name)]
    return {
        "times low": f"{min(times):.1f}",
        "times high": f"{max(times):.1f}",
        "least forgetting": f"{_forgetting(least):.3f}",
        "least name": least.name,
        "most name": most.name,
        "least perplexity": f"{100 * math.expm1(_forgetting(least)):.0f}%",
        "most perplexity": f"{100 * math.expm1(_forgetting(most)):.0f}%",
        "most kept": f"{100 * math.exp(-_forgetting(most)):.0f}%",
        "full forgetting": f"{_forgetting(full):.3f}",
        "forget less than full": str(sum(_forgetting(row) < _forgetting(full) for row in known)),
        "forget known": str(len(known)),
        "with accuracy": _correlation(
            [row.accuracy for row in known], [_forgetting(row) for row in known]
        ),
        "mended methods": str(len(both)),
        "mended correlation": _correlation(*zip(*both, strict=True)),
    }


def _forgetting(record: Record) -> float:
    if record.forgetting is None:
        raise ValueError(f"{record.name}: forgetting was not published")
    return record.forgetting


def _correlation(one: Sequence[float | None], other: Sequence[float | None]) -> str:
    value = rank_correlation(np.array(one, dtype=float), np.array(other, dtype=float))
    return f"{value:.2f}".replace("-", "−")


def _of_costs(standings: Sequence[Standing]) -> dict[str, str]:
    group = [standing for standing in standings if standing.may_be_best]
    memory, quick = (_cheapest(group, cost) for cost in ("memory_bytes", "seconds"))
    half = 1.96 * quick[0].error
    return {
        "least memory": memory[0].record.name,
        "least memory gib": f"{memory[1] / 2**30:.1f}",
        "least seconds": quick[0].record.name,
        "least seconds number": f"{quick[1]:,.0f}",
        "price": points(quick[0].behind),
        "price low": moved(quick[0].behind - half),
        "price high": moved(quick[0].behind + half),
    }


def _cheapest(group: Sequence[Standing], cost: str) -> tuple[Standing, float]:
    known = [(one, value) for one in group if (value := one.record.cost(cost)) is not None]
    return min(known, key=lambda pair: pair[1])


def _of_each(rows: Sequence[Record]) -> dict[str, str]:
    return {
        f"forgetting {row.name}": f"{row.forgetting:.3f}"
        for row in rows
        if row.forgetting is not None
    }
