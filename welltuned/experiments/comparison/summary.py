"""Summary of a comparison, computed from its folder alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from welltuned import metrics
from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.chosen_models import notes_of
from welltuned.experiments.comparison.notes import remarks
from welltuned.experiments.comparison.rows import baseline_rows, ran_beside, strategy_row
from welltuned.experiments.comparison.verdict.limits import over_limits
from welltuned.experiments.comparison.verdict.pairs import ALPHA, Difference, compare_all
from welltuned.experiments.comparison.verdict.posterior import Standing, standings
from welltuned.experiments.comparison.verdict.recommendation import non_inferior, recommend
from welltuned.experiments.comparison.verdict.recommended_config import write_config
from welltuned.experiments.comparison.verdict.scores import ResampledScore, score_all
from welltuned.experiments.comparison.verdict.seed_variance import (
    SeedVariance,
    score_interval,
    seed_variances,
)
from welltuned.experiments.comparison.verdict.settling import (
    again_command,
    least_tolerance,
    need_of,
)
from welltuned.experiments.comparison.verdict.tolerance import usual_tolerance
from welltuned.metrics import Metric, Predictions, Statistic, family_of
from welltuned.metrics.folds import folds_of
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    ComparisonRecord,
    ComparisonResults,
    ComparisonRow,
    PairRecord,
    RankedRows,
    Ranking,
    StandingRecord,
)
from welltuned.schema.versions import COMPARISON_RESULTS

TESTED_BASELINES = ("tf-idf", "static")
"""Baselines that could be taken for a solution, and are compared like strategies."""
BASELINES = (*TESTED_BASELINES, "untouched", "majority")


def summarise_comparison(comparison: Comparison) -> ComparisonResults:
    """Write results.json and recommended.yaml, and return the results.

    Nothing is computed again when the cells are those that were summarised before.
    """
    record, before = comparison.record, comparison.results
    basis = _basis(comparison, record)
    if before.get("basis") == basis:
        return before
    ranked = rank_strategies(comparison)
    again = again_command(record["command"], comparison.folder)
    recommendation = recommend(ranked, record["asked"]["limits"], again)
    write_config(comparison, recommendation)
    results: ComparisonResults = {
        "schema_version": COMPARISON_RESULTS.version,
        "basis": basis,
        "name": comparison.name,
        "asked_metric": record["metric"],
        **ranked,
        "remarks": [
            *notes_of(record.get("models", [])),
            *remarks(ranked, ran_beside(_finished(comparison, record)), record),
        ],
        "recommendation": recommendation,
    }
    comparison.write("results.json", results)
    return results


def rank_strategies(comparison: Comparison) -> RankedRows:
    """The table and the statistics of the cells that have finished so far."""
    record = comparison.record
    beside = ran_beside(_finished(comparison, record)) > 1
    rows = [strategy_row(comparison, row, record, beside) for row in record["rows"]]
    rows += [row for kind in BASELINES for row in baseline_rows(comparison, kind)]
    return {"rows": rows, **_judge(comparison, record, rows)}


def _finished(comparison: Comparison, record: ComparisonRecord) -> list[Run]:
    """The runs of all cells that have finished."""
    return [
        comparison.cell(row["slug"], cell["seed"])
        for row in record["rows"]
        for cell in row["cells"]
        if cell["state"] == "finished"
    ]


def _basis(comparison: Comparison, record: ComparisonRecord) -> str:
    """One hash of everything the results follow from."""
    cells = [
        cell_record(comparison.cell(row["slug"], cell["seed"])).get("key", cell["error"])
        for row in record["rows"]
        for cell in row["cells"]
    ]
    folders = [Path(module).parent for module in (__file__, str(metrics.__file__))]
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    own = [file.read_text(encoding="utf-8") for file in files]
    found = [record["settled"], record.get("tuned", {}), record["scouted"]["impossible"]]
    models = record.get("models", [])
    parts = [cells, found, record["asked"]["limits"], record["metric"], own, models]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- The judgement ----------------------------------------------------------------


def _judge(
    comparison: Comparison, record: ComparisonRecord, rows: Sequence[ComparisonRow]
) -> Ranking:
    """Which strategies differ significantly, by the headline score."""
    if not any(row["seeds"] for row in rows):
        return {
            "metric": record["metric"],
            "labels": [],
            "test_examples": 0,
            "alpha": ALPHA,
            "best": None,
            "tolerance": 0.0,
            "least_tolerance": None,
            "standings": [],
            "group": [],
            "pairs": [],
        }
    task = _task(comparison, rows)
    labels = list(task.get("labels", []))
    found = _predictions(comparison, rows)
    metric, statistics = _statistics(family_of(task), record["metric"], found, labels)
    sign = -1.0 if metric.lower_is_better else 1.0
    folds_N = folds_of(next(by_seed[0] for by_seed in found.values()))
    scored = score_all(statistics, sign, folds_N)
    differences = compare_all(scored, BASELINES)
    seeds = seed_variances(scored, BASELINES)
    _set_intervals(rows, metric, sign, scored, seeds)
    strategies = {name: s for name, s in scored.items() if name not in BASELINES}
    limits = record["asked"]["limits"]
    beyond = {row["name"] for row in rows if over_limits(row, limits)}
    usual = usual_tolerance(metric, strategies)
    tolerance = limits.get("tolerance") or usual
    within = {name: score for name, score in strategies.items() if name not in beyond}
    order = standings(within, seeds, tolerance, scale=2 * usual)
    placed = [_standing(one, order[0], scored, seeds, tolerance, sign) for one in order]
    return {
        "metric": metric.name,
        "labels": labels,
        "test_examples": max(score.examples for score in scored.values()),
        "alpha": ALPHA,
        "best": max(strategies, key=lambda name: strategies[name].mean),
        "tolerance": tolerance,
        "least_tolerance": least_tolerance(within, seeds, order[0].name) if order else None,
        "standings": placed,
        "group": non_inferior(placed),
        "pairs": [_pair(difference, sign) for difference in differences],
    }


def _set_intervals(
    rows: Sequence[ComparisonRow],
    metric: Metric,
    sign: float,
    scored: Mapping[str, ResampledScore],
    seeds: Mapping[str, SeedVariance],
) -> None:
    """Give each row's headline score its interval, by examples and seeds together."""
    for row in rows:
        if row["name"] in scored and metric.name in row["scores"]:
            bounds = score_interval(scored[row["name"]], seeds[row["name"]])
            low, high = sorted(sign * bound for bound in bounds)
            row["scores"][metric.name]["interval"] = metric.within_bounds(low, high)


def _standing(
    found: Standing,
    first: Standing,
    scored: Mapping[str, ResampledScore],
    seeds: Mapping[str, SeedVariance],
    tolerance: float,
    sign: float,
) -> StandingRecord:
    one, best = scored[found.name], scored[first.name]
    variances = seeds[found.name], seeds[first.name]
    gap = first.expected - found.expected
    need = None if found is first else need_of(one, best, variances, gap, tolerance)
    return {
        "name": found.name,
        "expected": sign * found.expected,
        "gap": found.gap,
        "low": found.low,
        "high": found.high,
        "within": found.within,
        "behind": found.behind,
        "needed_seeds": need.seeds if need else None,
        "needed_examples": need.examples if need else None,
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


def _task(comparison: Comparison, rows: Sequence[ComparisonRow]) -> dict[str, Any]:
    """What data.json tells of the task, which is the same for all cells."""
    row = next(row for row in rows if row["seeds"])
    task: dict[str, Any] = comparison.cell(row["slug"], row["seeds"][0]).read("data.json")["task"]
    return task


ByStrategy = dict[str, list[list[dict[str, Any]]]]
"""The rows of predictions.jsonl, by strategy and seed."""


def _predictions(comparison: Comparison, rows: Sequence[ComparisonRow]) -> ByStrategy:
    found: ByStrategy = {}
    for row in rows:
        if row["name"] in TESTED_BASELINES:
            runs = [comparison.baseline(row["name"])]
        else:
            runs = [comparison.cell(row["slug"], seed) for seed in row["seeds"]]
        if runs:
            found[row["name"]] = [list(run.read_lines("predictions.jsonl")) for run in runs]
    return found


def _statistics(
    family: type[Predictions], asked: str, found: ByStrategy, labels: Sequence[str]
) -> tuple[Metric, dict[str, list[Statistic]]]:
    """The score that can be compared example by example, and its parts by strategy and seed.

    It is the family's usual one where the predictions do not tell the one that was asked for.
    """
    read = {
        name: [family.from_rows(rows, labels) for rows in by_seed if rows]
        for name, by_seed in found.items()
    }
    usual = next(metric for metric in family.metrics if metric.name == family.default_metric)
    named = [metric for metric in family.metrics if metric.name == asked]
    for metric in (*named, usual):
        statistics = {
            name: [part for one in by_seed if (part := metric.statistic(one)) is not None]
            for name, by_seed in read.items()
        }
        if any(statistics.values()):
            break
    return metric, {name: parts for name, parts in statistics.items() if parts}
