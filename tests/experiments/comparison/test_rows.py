"""Rows of a comparison: means over seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from welltuned.experiments.comparison.rows import _retention, baseline_rows
from welltuned.runs.comparison_folder import Comparison

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


def test_a_baseline_of_several_models_has_a_row_for_each(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path)
    for slug, name, model in (
        ("tf-idf", "tf-idf", None), ("untouched-b", "untouched · b", "b"),
        ("untouched-a", "untouched · a", "a"),
    ):  # fmt: skip
        run = comparison.baseline(slug)
        run.folder.mkdir(parents=True)
        run.write("results.json", {"name": name, "model": model, "test": {"accuracy": 0.5}})
    (words,) = baseline_rows(comparison, "tf-idf")
    assert (words["name"], words["model"], words["kind"]) == ("tf-idf", None, "baseline")
    rows = baseline_rows(comparison, "untouched")
    assert [(row["name"], row["slug"], row["model"]) for row in rows] == [
        ("untouched · a", "untouched-a", "a"), ("untouched · b", "untouched-b", "b"),
    ]  # fmt: skip
    assert rows[0]["scores"]["accuracy"]["mean"] == 0.5
    assert baseline_rows(comparison, "majority") == []
