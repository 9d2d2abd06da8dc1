"""Who may be the best of a published table, and who is shown to be worse.

As in `welltuned compare`: p-values against the best are multiplied by how many they are, so that
the truly best is left out in less than 5% of such tables, whichever came out on top; over all
pairs Holm's method corrects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from published.differences import (
    ALPHA,
    Bounds,
    most_disagreements,
    paired_bounds,
    standard_error,
    two_proportions,
)
from published.records import Published, Record
from published.reruns import Layout, lay_out
from welltuned.experiments.comparison.verdict.pairs import holm

FIRST, SPRING, LAST, LATER = "2026-01", "2026-04", "2026-07", "2026-08"


@dataclass(frozen=True)
class Standing:
    """A row beside the best one; p-values are corrected for the number of rows."""

    record: Record
    behind: float
    """The best accuracy less this one."""
    error: float
    """The standard error of `behind`, without pairs."""
    p: float
    """Of two proportions."""
    paired: Bounds
    """Of McNemar's test."""
    noise_p: float
    """By the noise between reruns."""
    most_disagreements: int | None
    """On how many questions the two may disagree and still be told apart."""

    @property
    def may_be_best(self) -> bool:
        """Whether it cannot be told from the best."""
        return self.p >= ALPHA


def beside_the_best(rows: Sequence[Record], layout: Layout) -> list[Standing]:
    """Every row, best first, against the first one."""
    best, comparisons = rows[0], max(1, len(rows) - 1)

    def corrected(p: float) -> float:
        return min(1.0, p * comparisons)

    found = []
    for record in rows:
        counts = (best.correct, record.correct, record.questions)
        behind = (best.correct - record.correct) / record.questions
        bounds = paired_bounds(*counts)
        found.append(
            Standing(
                record=record,
                behind=behind,
                error=standard_error(*counts),
                p=corrected(two_proportions(*counts)),
                paired=Bounds(corrected(bounds.best), corrected(bounds.worst)),
                noise_p=corrected(layout.p_of_difference(behind, runs=1)),
                most_disagreements=most_disagreements(
                    best.correct, record.correct, ALPHA / comparisons
                ),
            )
        )
    return found


def pairs_told_apart(rows: Sequence[Record], p_of: Callable[[Record, Record], float]) -> int:
    """How many pairs of rows differ significantly, after Holm."""
    corrected = holm([p_of(one, other) for one, other in combinations(rows, 2)])
    return sum(p < ALPHA for p in corrected)


def twice_run(published: Published) -> Layout:
    """The experiments that both full reruns have."""
    last = {record.name: record for record in published.of(LAST)}
    return lay_out(
        {
            first.name: [first.accuracy, last[first.name].accuracy]
            for first in published.of(FIRST)
            if first.name in last
        }
    )
