"""What would settle an open question: as many seeds, or as many test examples.

That a strategy is within the tolerance of the best is shown once the tolerance, less what is
expected to lie between them, is as wide as a one-sided interval of the difference. Its variance has
a part by test examples, which falls with their number, and one by seeds, which falls with theirs.
Where there are folds, what training sets add stays as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import (
    SeedVariance,
    half_width,
    parts_of_difference,
)

_MOST_SEEDS = 20
"""More are not worth proposing."""
_ONE_SIDED = 0.05


@dataclass(frozen=True)
class Need:
    """What would show that a strategy is within the tolerance of the best; one of the two."""

    seeds: int | None
    examples: int | None


@dataclass(frozen=True)
class _Pair:
    """The variance of a difference, by its parts."""

    examples_variance: float
    seed_variance: float
    """For one seed of each."""
    examples: int
    seeds: int


def need_of(
    one: ResampledScore,
    best: ResampledScore,
    seeds: tuple[SeedVariance, SeedVariance],
    gap: float,
    tolerance: float,
) -> Need | None:
    """For a strategy that is expected `gap` below the best; None where it is too far below."""
    from scipy.stats import norm

    if gap >= tolerance:
        return None
    pair = _Pair(
        examples_variance=one.examples_variance_beside(best),
        seed_variance=sum(part.of_seed for part in seeds),
        examples=one.examples,
        seeds=min(one.seeds, best.seeds),
    )
    allowed = ((tolerance - gap) / float(norm.isf(_ONE_SIDED))) ** 2 - one.training_sets(best)[0]
    if (left := allowed - pair.examples_variance) > 0:
        asked = max(ceil(pair.seed_variance / left), pair.seeds + 1)
        if asked <= _MOST_SEEDS:
            return Need(asked, None)
    if (left := allowed - pair.seed_variance / pair.seeds) > 0:
        return Need(None, _rounded(pair.examples * pair.examples_variance / left))
    at_most = allowed - pair.seed_variance / _MOST_SEEDS
    if at_most > 0:
        return Need(_MOST_SEEDS, _rounded(pair.examples * pair.examples_variance / at_most))
    return None


def least_tolerance(
    scored: Mapping[str, ResampledScore], seeds: Mapping[str, SeedVariance], best: str
) -> float | None:
    """The least tolerance that these data can show of any strategy that is as good as the best.

    None where there is no other.
    """
    halves = (
        half_width(parts_of_difference(score, scored[best], (seeds[name], seeds[best])), _ONE_SIDED)
        for name, score in scored.items()
        if name != best
    )
    return min(halves, default=None)


def again_command(command: str | None, folder: Path) -> str:
    """The command that goes on with a comparison in its folder; a part of it where it was begun in
    Python."""
    words = shlex.split(command) if command else ["welltuned", "compare", "…"]
    kept = [word for word in words if not word.startswith(("seeds=", "output_dir="))]
    return shlex.join([*kept, f"output_dir={folder}"]).replace("'…'", "…")


def _rounded(number: float) -> int:
    """Two digits are all that is known of it."""
    places = max(len(str(ceil(number))) - 2, 0)
    return ceil(number / 10**places) * int(10**places)
