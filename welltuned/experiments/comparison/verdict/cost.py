"""Which of several strategies costs least."""

from __future__ import annotations

from collections.abc import Sequence

from welltuned.runs.comparison_schema import ComparisonRow

_AS_FAST = 1.1


def cheapest(rows: Sequence[ComparisonRow]) -> ComparisonRow:
    """The fastest; of those nearly as fast the smallest in memory, then the smallest artifact."""
    fastest = min(known(row["cost"]["train_seconds"]) for row in rows)
    fast = [row for row in rows if known(row["cost"]["train_seconds"]) <= _AS_FAST * fastest]
    sizes = [
        (known(row["cost"]["memory_bytes"]), known(row["cost"]["artifact_bytes"])) for row in fast
    ]
    return fast[sizes.index(min(sizes))]


def known(cost: float | None) -> float:
    """A cost of a strategy whose cells have finished, which is always known."""
    assert cost is not None
    return cost
