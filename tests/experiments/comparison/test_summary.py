"""What the cells say together."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from welltuned.experiments.comparison.rows import seconds_to_share
from welltuned.experiments.comparison.summary import summarise_comparison
from welltuned.runs.comparison_folder import Comparison


@pytest.fixture
def copy(compared: Comparison, tmp_path: Path) -> Comparison:
    return Comparison(Path(shutil.copytree(compared.folder, tmp_path / "copy")))


def look(seconds: float, value: float | None, metric: str = "macro_f1") -> dict[str, Any]:
    return {"split": "validation", "seconds": seconds, metric: value}


def test_the_first_look_within_a_twentieth_of_the_best_counts() -> None:
    rows = [look(1, 0.5), look(2, 0.759), look(3, 0.761), look(4, 0.8), look(5, 0.7)]
    assert seconds_to_share(rows, "macro_f1") == 3
    assert seconds_to_share([look(1, 0.76), look(2, 0.80)], "macro_f1") == 1
    assert seconds_to_share([{"split": "train", "seconds": 1, "loss": 1.0}], "macro_f1") is None
    assert seconds_to_share([look(1, None)], "macro_f1") is None


def test_of_a_loss_less_is_better() -> None:
    rows = [look(1, 3.0, "loss"), look(2, 2.2, "loss"), look(3, 2.1, "loss"), look(4, 2.0, "loss")]
    assert seconds_to_share(rows, "loss") == 3  # 2.0 / 0.95 = 2.105


def test_a_score_below_zero_is_no_trap() -> None:
    rows = [look(1, -9.0, "r2"), look(2, -1.04, "r2"), look(3, -1.0, "r2")]
    assert seconds_to_share(rows, "r2") == 2


def test_nothing_is_computed_twice(copy: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copy.results
    monkeypatch.setattr("welltuned.experiments.comparison.summary._judge", None)
    assert summarise_comparison(copy) == before


def test_other_limits_make_another_recommendation(copy: Comparison) -> None:
    record = copy.record
    record["asked"]["limits"]["memory"] = 1.0
    copy.write("comparison.json", record)
    recommendation = summarise_comparison(copy)["recommendation"]
    assert recommendation["strategy"] is None
    assert any(reason["values"].get("limit") == "1 B" for reason in recommendation["reasons"])


def test_retention_and_probes_of_runs_come_along(copy: Comparison) -> None:
    for seed, kept in ((0, 0.9), (1, 0.8)):
        run = copy.cell("head", seed)
        values = {"before": 2.0, "after": 2.0 / kept, "kept": kept, "kind": "loss"}
        probe = {"before": [0.5, 0.6], "after": [0.5, 0.9]}
        retention = {"kept": kept, "decided_by": "general", "general": values}
        run.write("results.json", {**run.results, "retention": retention, "probe": probe})
    record = copy.record
    record["asked"]["limits"]["retention"] = 0.86
    copy.write("comparison.json", record)
    results = summarise_comparison(copy)
    head: Any = next(row for row in results["rows"] if row["name"] == "head")
    assert head["retention"]["general"]["kept"] == head["kept"] == pytest.approx(0.85)
    assert head["retention"]["general"]["kind"] == "loss"
    assert head["probe"]["after"] == [0.5, 0.9]
    other = next(row for row in results["rows"] if row["name"] == "lora r=2")
    assert other["retention"] == {} and (other["kept"], other["probe"]) == (None, None)
    assert results["recommendation"]["strategy"] != "head"


def test_planted_predictions_decide(copy: Comparison) -> None:
    """From the stored predictions alone: who is always right is the best, beyond doubt."""
    for slug, right in (("head", True), ("lora-r=2", False)):
        for seed in (0, 1):
            run = copy.cell(slug, seed)
            rows = list(run.read_lines("predictions.jsonl")) * 10
            other = {"negative": "positive", "positive": "negative"}
            for row in rows:
                row["prediction"] = row["label"] if right else other[row["label"]]
            run.write_lines("predictions.jsonl", rows)
    run = copy.baseline("tf-idf")
    run.write_lines("predictions.jsonl", list(run.read_lines("predictions.jsonl")) * 10)
    (copy.folder / "results.json").unlink()
    results = summarise_comparison(copy)
    assert results["best"] == "head" and results["group"] == ["head"]
    [pair] = [p for p in results["pairs"] if {p["one"], p["other"]} == {"head", "lora r=2"}]
    assert pair["real"] and pair["one"] == "head" and pair["difference"] == 1
    assert results["recommendation"]["strategy"] == "head"


def test_the_score_that_is_compared_has_an_interval_that_the_metric_can_have(
    compared: Comparison,
) -> None:
    """Of examples and seeds together; scores beside it have none."""
    results = compared.results
    for row in results["rows"]:
        for name, score in row["scores"].items():
            if name == results["metric"] and row["name"] not in ("untouched", "majority"):
                low, high = score["interval"] or (1.0, 0.0)
                assert 0 <= low <= score["mean"] <= high <= 1
            else:
                assert score["interval"] is None
