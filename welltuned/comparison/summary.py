"""What the cells of a comparison say together: made from its folder alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.comparison.cells import cell_record
from welltuned.comparison.recommendation import recommend, write_config
from welltuned.comparison.scores import Statistic, known_metrics, statistic
from welltuned.comparison.statistics import (
    ALPHA,
    compare_all,
    not_distinguishable_from_best,
    score_all,
    seeds_interval,
)
from welltuned.metrics import LOWER_IS_BETTER
from welltuned.runs import Run
from welltuned.runs.comparison import Comparison
from welltuned.runs.folder import SCHEMA_VERSION

TESTED_BASELINES = ("tf-idf",)
"""Baselines that could be taken for a solution, and are compared like strategies."""
BASELINES = ("tf-idf", "untouched", "majority")
COSTS = (
    "seconds", "train_seconds", "seconds_to_95", "examples_per_second", "epochs", "memory_bytes",
    "trainable", "trainable_share", "artifact_bytes", "joules",
)  # fmt: skip
"""What a row costs, each None where it is not known."""
_NEARLY_FINAL = 0.95


def summarise(comparison: Comparison) -> dict[str, Any]:
    """Write results.json and recommended.yaml, and return the results.

    Nothing is computed again when the cells are those that were summarised before.
    """
    record, before = comparison.record, comparison.results
    basis = _basis(comparison, record)
    if before.get("basis") == basis:
        return before
    rows = [_strategy(comparison, row, record["metric"]) for row in record["rows"]]
    rows += [row for name in BASELINES if (row := _baseline(comparison, name)) is not None]
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "basis": basis,
        "name": comparison.name,
        "asked_metric": record["metric"],
        "rows": rows,
    }
    results |= _judge(comparison, record, rows)
    results["recommendation"] = recommend(results, record["asked"]["limits"])
    write_config(comparison, results["recommendation"])
    comparison.write("results.json", results)
    return results


def _basis(comparison: Comparison, record: dict[str, Any]) -> str:
    """One hash of everything the results follow from."""
    cells = [
        cell_record(comparison.cell(row["slug"], cell["seed"])).get("key", cell["error"])
        for row in record["rows"]
        for cell in row["cells"]
    ]
    own = [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))]
    parts = [cells, record["settled"], record["asked"]["limits"], record["metric"], own]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


# --- Rows of the table ----------------------------------------------------------


def _strategy(comparison: Comparison, row: dict[str, Any], metric: str) -> dict[str, Any]:
    """A strategy's scores and cost over its finished cells."""
    runs = {
        cell["seed"]: comparison.cell(row["slug"], cell["seed"])
        for cell in row["cells"]
        if cell["state"] == "finished"
    }
    results = {seed: run.results for seed, run in runs.items()}
    costs = [_cost(run, metric) for run in runs.values()]
    failed = [c for c in row["cells"] if c["seed"] not in runs and c["error"]]
    return {
        "name": row["name"],
        "slug": row["slug"],
        "kind": "strategy",
        "seeds": list(runs),
        "failed": [{"seed": cell["seed"], "error": cell["error"]} for cell in failed],
        "impossible": row["impossible"],
        "scores": _scores({seed: r["test"] for seed, r in results.items()}),
        "cost": {name: _mean(cost[name] for cost in costs) for name in COSTS},
        "retention": _retention([r.get("retention", {}) for r in results.values()]),
        "kept": _mean(r.get("retention", {}).get("kept") for r in results.values()),
        "probe": next((r["probe"] for r in results.values() if r.get("probe")), None),
    }


def _baseline(comparison: Comparison, name: str) -> dict[str, Any] | None:
    results = comparison.baseline(name)
    if not results.results:
        return None
    cost = results.results.get("cost", {})
    return {
        "name": name,
        "slug": name,
        "kind": "baseline",
        "seeds": [],
        "failed": [],
        "impossible": None,
        "scores": _scores({0: results.results["test"]}),
        "cost": {name: cost.get(name) for name in COSTS},
        "retention": {},
        "kept": None,
        "probe": None,
    }


def _scores(tests: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Each score's mean, deviation and interval over seeds, and its value by seed."""
    if not tests:
        return {}
    first = next(iter(tests.values()))
    names = [name for name, value in first.items() if isinstance(value, float)]
    scores = {}
    for name in names:
        values = np.array([test[name] for test in tests.values()])
        scores[name] = {
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
            "interval": seeds_interval(values),
            "by_seed": {str(seed): test[name] for seed, test in tests.items()},
        }
    return scores


def _cost(run: Run, metric: str) -> dict[str, float | None]:
    """What a cell took."""
    results, taken = run.results, cell_record(run)["cost"]
    on_gpu = run.read("environment.json")["device"] not in ("cpu", "mps")
    parameters, cost = results["parameters"], results["cost"]
    return {
        "seconds": taken["seconds"],
        "train_seconds": cost["train_seconds"],
        "examples_per_second": cost["examples_per_second"],
        "memory_bytes": cost["peak_memory_bytes"] if on_gpu else taken["memory_bytes"],
        "artifact_bytes": cost["artifact_bytes"],
        "trainable": parameters["trainable"],
        "trainable_share": parameters["trainable"] / parameters["total"],
        "seconds_to_95": seconds_to_share(list(run.read_lines("metrics.jsonl")), metric),
        "epochs": results["training"]["epochs"],
        "joules": taken["joules"],
    }


def seconds_to_share(rows: Sequence[dict[str, Any]], metric: str) -> float | None:
    """Seconds of training until validation first reached 95% of the score that was kept.

    Where less is better: until it first came within 1/0.95 of it. As fine as the
    looks at the validation split are; None without any.
    """
    looks = [row for row in rows if row["split"] == "validation" and row.get(metric) is not None]
    if not looks:
        return None
    lower = metric in LOWER_IS_BETTER
    kept = (min if lower else max)(row[metric] for row in looks)
    goal = kept / _NEARLY_FINAL if lower else kept - (1 - _NEARLY_FINAL) * abs(kept)
    reached = (row for row in looks if (row[metric] <= goal if lower else row[metric] >= goal))
    return float(next(reached)["seconds"])


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _retention(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds of what was kept, by retention set; the headline is not among them."""
    sets: dict[str, Any] = {}
    for name, values in (found[0] if found else {}).items():
        if not isinstance(values, dict):
            continue
        numbers = {
            key: _mean(other[name].get(key) for other in found if name in other)
            for key in ("before", "after", "kept")
        }
        sets[name] = {**values, **numbers}
    return sets


# --- The judgement ----------------------------------------------------------------


def _judge(
    comparison: Comparison, record: dict[str, Any], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Which strategies can be told apart, by the headline score."""
    if not any(row["seeds"] for row in rows):
        nothing: dict[str, Any] = {"metric": record["metric"], "labels": [], "test_examples": 0}
        return {**nothing, "alpha": ALPHA, "best": None, "group": [], "pairs": []}
    labels = _labels(comparison, rows)
    metric, statistics = _statistics(comparison, record["metric"], rows, labels)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    scored = score_all(statistics, sign)
    differences = compare_all(scored)
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
        "pairs": [_pair(asdict(d), sign) | {"real": d.is_real} for d in differences],
    }


def _pair(values: dict[str, Any], sign: float) -> dict[str, Any]:
    """A difference in the score's own direction; the first of the two is the better one."""
    bounds = sorted((sign * values["low"], sign * values["high"]))
    return {
        **values,
        "difference": sign * values["difference"],
        "low": bounds[0],
        "high": bounds[1],
    }


def _labels(comparison: Comparison, rows: list[dict[str, Any]]) -> list[str]:
    row = next(row for row in rows if row["seeds"])
    task = comparison.cell(row["slug"], row["seeds"][0]).read("data.json")["task"]
    return list(task.get("labels", []))


def _statistics(
    comparison: Comparison, asked: str, rows: list[dict[str, Any]], labels: Sequence[str]
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
