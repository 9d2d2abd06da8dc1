"""What tuning forgets, in a comparison: means over seeds, and the limit on it."""

from __future__ import annotations

from typing import Any

from welltuned.experiments.comparison.recommendation import _over
from welltuned.experiments.comparison.rows import COSTS, _retention

RUNS: list[dict[str, Any]] = [
    {"kept": share, "kept_ci95": [0.8, 1.0], "decided_by": "topics",
     "topics": {"kind": "probe", "before": 0.8, "after": 0.8 * share, "kept": share}}
    for share in (0.9, 0.8)
]  # fmt: skip


def test_sets_are_averaged_over_seeds_and_the_headline_is_none_of_them() -> None:
    found = _retention(RUNS)
    assert list(found) == ["topics"]
    assert abs(found["topics"]["kept"] - 0.85) < 1e-12
    assert found["topics"]["before"] == 0.8 and found["topics"]["kind"] == "probe"


def test_a_limit_is_held_against_the_headline() -> None:
    row: Any = {"name": "full", "seeds": [0, 1], "kept": 0.85, "retention": {},
                           "cost": dict.fromkeys(COSTS)}  # fmt: skip
    assert _over(row, {"retention": 0.8}) == []
    (sentence,) = _over(row, {"retention": 0.98})
    assert sentence["code"] == "compare.over_retention"
    assert sentence["values"] == {"name": "full", "value": "85.0%", "limit": "98.0%"}
    row["kept"] = None
    assert _over(row, {"retention": 0.98}) == []
