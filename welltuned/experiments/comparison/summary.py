"""Summary of a comparison, computed from its folder alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.notes import remarks
from welltuned.experiments.comparison.recommendation import recommend, write_config
from welltuned.experiments.comparison.rows import baseline_row, strategy_row
from welltuned.experiments.comparison.scores import Statistic, known_metrics, statistic
from welltuned.experiments.comparison.statistics import (
    ALPHA,
    Difference,
    compare_all,
    not_distinguishable_from_best,
    score_all,
)
from welltuned.metrics import LOWER_IS_BETTER
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    ComparisonRecord,
    ComparisonResults,
    ComparisonRow,
    PairRecord,
    RankedRows,
    Ranking,
)
from welltuned.schema.versions import COMPARISON_RESULTS

TESTED_BASELINES = ("tf-idf",)
"""Baselines that could be taken for a solution, and are compared like strategies."""
BASELINES = ("tf-idf", "untouched", "majority")


def summarise_comparison(comparison: Comparison) -> ComparisonResults:
    """Write results.json and recommended.yaml, and return the results.

    Nothing is computed again when the cells are those that were summarised before.
    """
    record, before = comparison.record, comparison.results
    basis = _basis(comparison, record)
    if before.get("basis") == basis:
        return before
    rows = [strategy_row(comparison, row, record) for row in record["rows"]]
    rows += [row for name in BASELINES if (row := baseline_row(comparison, name)) is not None]
    ranked: RankedRows = {"rows": rows, **_judge(comparison, record, rows)}
    recommendation = recommend(ranked, record["asked"]["limits"])
    write_config(comparison, recommendation)
    results: ComparisonResults = {
        "schema_version": COMPARISON_RESULTS.version,
        "basis": basis,
        "name": comparison.name,
        "asked_metric": record["metric"],
        **ranked,
        "remarks": remarks([row for row in rows if row["seeds"]]),
        "recommendation": recommendation,
    }
    comparison.write("results.json", results)
    return results


def _basis(comparison: Comparison, record: ComparisonRecord) -> str:
    """One hash of everything the results follow from."""
    cells = [
        cell_record(comparison.cell(row["slug"], cell["seed"])).get("key", cell["error"])
        for row in record["rows"]
        for cell in row["cells"]
    ]
    own = [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))]
    found = [record["settled"], record.get("tuned", {}), record["scouted"]["impossible"]]
    parts = [cells, found, record["asked"]["limits"], record["metric"], own]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- The judgement ----------------------------------------------------------------


def _judge(
    comparison: Comparison, record: ComparisonRecord, rows: Sequence[ComparisonRow]
) -> Ranking:
    """Which strategies can be told apart, by the headline score."""
    if not any(row["seeds"] for row in rows):
        return {
            "metric": record["metric"],
            "labels": [],
            "test_examples": 0,
            "alpha": ALPHA,
            "best": None,
            "group": [],
            "pairs": [],
        }
    labels = _labels(comparison, rows)
    metric, statistics = _statistics(comparison, record["metric"], rows, labels)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    scored = score_all(statistics, sign)
    differences = compare_all(scored, BASELINES)
    strategies = {name: s for name, s in scored.items() if name not in BASELINES}
    group = not_distinguishable_from_best(strategies, differences)
    examples = max(len(s.influence_N) for s in scored.values())
    return {
        "metric": metric,
        "labels": labels,
        "test_examples": examples,
        "alpha": ALPHA,
        "best": group[0],
        "group": group,
        "pairs": [_pair(difference, sign) for difference in differences],
    }


def _pair(found: Difference, sign: float) -> PairRecord:
    """A difference in the score's own direction; the first of the two is the better one."""
    low, high = sorted((sign * found.low, sign * found.high))
    return {
        "one": found.one,
        "other": found.other,
        "difference": sign * found.difference,
        "low": low,
        "high": high,
        "p": found.p,
        "visible": found.visible,
        "p_adjusted": found.p_adjusted,
        "real": found.is_real,
    }


def _labels(comparison: Comparison, rows: Sequence[ComparisonRow]) -> list[str]:
    row = next(row for row in rows if row["seeds"])
    task = comparison.cell(row["slug"], row["seeds"][0]).read("data.json")["task"]
    return list(task.get("labels", []))


def _statistics(
    comparison: Comparison, asked: str, rows: Sequence[ComparisonRow], labels: Sequence[str]
) -> tuple[str, dict[str, list[Statistic]]]:
    """The score that can be compared example by example, and its parts by strategy and seed."""
    predictions: dict[str, list[list[dict[str, Any]]]] = {}
    for row in rows:
        if row["name"] in TESTED_BASELINES:
            runs = [comparison.baseline(row["name"])]
        else:
            runs = [comparison.cell(row["slug"], seed) for seed in row["seeds"]]
        if runs:
            predictions[row["name"]] = [list(run.read_lines("predictions.jsonl")) for run in runs]
    known = known_metrics(next(iter(predictions.values()))[0])
    metric = asked if asked in known else known[0]
    statistics: dict[str, list[Statistic]] = {}
    for name, by_seed in predictions.items():
        parts = [statistic(metric, seed, labels) for seed in by_seed]
        statistics[name] = [part for part in parts if part is not None]
    return metric, {name: parts for name, parts in statistics.items() if parts}
