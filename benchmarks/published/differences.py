"""What two published accuracies say about each other, when no answer was published.

Both models answered the same questions, so the right test is paired (McNemar 1947): of the
questions that only one of them got right, who got more? How many these were is not published. It
lies between the difference itself, where one model knows all that the other knows, and what two
models have at most that never agree on a right answer. Between these bounds, near where answers
are independent, lies the test of two proportions, which needs no pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt

from scipy.stats import binom, norm

ALPHA = 0.05
POWER = 0.8


def wilson(correct: int, questions: int, alpha: float = ALPHA) -> tuple[float, float]:
    """The interval of a share (Wilson 1927)."""
    z, share = float(norm.isf(alpha / 2)), correct / questions
    middle = (share + z**2 / (2 * questions)) / (1 + z**2 / questions)
    half = z * sqrt(share * (1 - share) / questions + z**2 / (4 * questions**2))
    half /= 1 + z**2 / questions
    return middle - half, middle + half


def standard_error(one: int, other: int, questions: int) -> float:
    """Of the difference of two shares, from the share of both together, without pairs."""
    together = (one + other) / (2 * questions)
    return sqrt(2 * together * (1 - together) / questions)


def two_proportions(one: int, other: int, questions: int) -> float:
    """The two-sided p-value of the difference of two shares, without pairs."""
    error = standard_error(one, other, questions)
    return 1.0 if error == 0 else float(2 * norm.sf(abs(one - other) / questions / error))


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value from the questions that one of two alone got right."""
    fewer, all_of_them = min(only_one, only_other), only_one + only_other
    return min(1.0, float(2 * binom.cdf(fewer, all_of_them, 0.5)))


@dataclass(frozen=True)
class Bounds:
    """What a paired test could say at best and at worst."""

    best: float
    """The p-value if one model knew all that the other knows."""
    worst: float
    """The p-value if the two agreed on as few right answers as they can."""


def paired_bounds(one: int, other: int, questions: int) -> Bounds:
    """The least and the largest p-value of McNemar's test, given how many each got right."""
    best = mcnemar(max(one, other) - min(one, other), 0)
    shared = max(0, one + other - questions)
    return Bounds(best, mcnemar(one - shared, other - shared))


def most_disagreements(one: int, other: int, alpha: float) -> int | None:
    """On how many questions two may disagree and still differ significantly, about.

    None where no agreement makes the difference significant.
    """
    difference = abs(one - other)
    if mcnemar(difference, 0) >= alpha:
        return None
    return max(difference, floor((difference / float(norm.isf(alpha / 2))) ** 2))


def not_ruled_out(behind: float, error: float, comparisons: int) -> float:
    """How far behind something may truly be: one-sided, corrected for the comparisons."""
    return behind + float(norm.isf(ALPHA / comparisons)) * error


def _needed(variance: float, margin: float, comparisons: int) -> int:
    reach = float(norm.isf(ALPHA / comparisons) + norm.isf(1 - POWER))
    return ceil(variance * (reach / margin) ** 2)


def questions_needed(disagreement: float, margin: float, comparisons: int = 1) -> int:
    """To show with a power of 80% that one is within `margin` of another that is as good.

    `disagreement` is the share of questions on which the answers of the two differ, which is
    what a paired difference varies by; without pairs, 2p(1 − p).
    """
    return _needed(disagreement, margin, comparisons)


def runs_needed(run_sd: float, margin: float, comparisons: int = 1) -> int:
    """The same in runs of each of the two, on the same questions."""
    return _needed(2 * run_sd**2, margin, comparisons)


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which (gain, cost) nobody beats in both: the Pareto front."""
    return [
        not any(
            gain >= own and cost <= spent and (gain, cost) != (own, spent) for gain, cost in points
        )
        for own, spent in points
    ]
