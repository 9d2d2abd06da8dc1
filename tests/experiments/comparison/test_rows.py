"""Rows of a comparison: means over seeds."""

from __future__ import annotations

from typing import Any

from welltuned.experiments.comparison.rows import _retention

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
