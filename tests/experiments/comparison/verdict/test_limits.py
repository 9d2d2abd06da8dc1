"""Which strategies need more than the user has."""

from __future__ import annotations

from ranking import row
from welltuned.experiments.comparison.verdict.limits import over_limits


def test_a_limit_is_kept_by_what_equals_it() -> None:
    assert not over_limits(row("full", 0.90, 100, 4e9, 9e7), {"memory": 4e9})
    assert over_limits(row("full", 0.90, 100, 4e9, 9e7), {"memory": 3.9e9})


def test_a_limit_is_held_against_the_headline() -> None:
    entry = row("full", 0.9, kept=0.85)
    assert over_limits(entry, {"retention": 0.8}) == []
    (sentence,) = over_limits(entry, {"retention": 0.98})
    assert sentence["code"] == "compare.over_retention"
    assert sentence["values"] == {"name": "full", "value": "85.0%", "limit": "98.0%"}
    entry["kept"] = None
    assert over_limits(entry, {"retention": 0.98}) == []
