"""Table rows: the finished cells of one strategy, aggregated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from welltuned.experiments.comparison.cells import cell_record
from welltuned.metrics import lower_is_better
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    ComparisonRecord,
    ComparisonRow,
    CostSummary,
    FailedCell,
    ScoreSummary,
    StrategyRecord,
)
from welltuned.runs.results_schema import Retention, Scores

COSTS = (
    "seconds", "train_seconds", "seconds_to_95", "examples_per_second", "epochs", "memory_bytes",
    "trainable", "trainable_share", "artifact_bytes", "tuning_seconds",
)  # fmt: skip
"""What a row costs, each None where it is not known."""
_NEARLY_FINAL = 0.95


def strategy_row(
    comparison: Comparison, row: StrategyRecord, record: ComparisonRecord, beside: bool = False
) -> ComparisonRow:
    """A strategy's scores and cost over its finished cells.

    Where cells ran `beside` others, their times are CPU seconds.
    """
    tuned = record.get("tuned", {}).get(row["name"])
    runs = {
        cell["seed"]: comparison.cell(row["slug"], cell["seed"])
        for cell in row["cells"]
        if cell["state"] == "finished"
    }
    results = {seed: run.results for seed, run in runs.items()}
    costs = [_cost(run, record["metric"], beside) for run in runs.values()]
    for cost in costs:
        cost["tuning_seconds"] = tuned["seconds"] if tuned else None
    failed: list[FailedCell] = [
        {"seed": cell["seed"], "error": cell["error"]}
        for cell in row["cells"]
        if cell["seed"] not in runs and cell["error"]
    ]
    return {
        "name": row["name"],
        "slug": row["slug"],
        "kind": "strategy",
        "model": row.get("model"),
        "seeds": list(runs),
        "failed": failed,
        "impossible": row["impossible"],
        "scores": _scores({seed: r["test"] for seed, r in results.items()}),
        "cost": _costs({name: _mean(cost[name] for cost in costs) for name in COSTS}),
        "tuned": tuned,
        "stages": _stages([_own_stages(run, beside) for run in runs.values()]),
        "retention": _retention([r.get("retention", {}) for r in results.values()]),
        "kept": _mean(r.get("retention", {}).get("kept") for r in results.values()),
        "probe": next((r["probe"] for r in results.values() if r.get("probe")), None),
    }


def baseline_rows(comparison: Comparison, kind: str) -> list[ComparisonRow]:
    """The baselines of a kind that were measured: one or, of several models, one on each."""
    files = sorted((comparison.folder / "baselines").glob(f"{kind}*/results.json"))
    return [_baseline_row(Run(file.parent)) for file in files]


def _baseline_row(run: Run) -> ComparisonRow:
    results = run.read("results.json")
    cost: Mapping[str, object] = results.get("cost", {})
    return {
        "name": str(results["name"]),
        "slug": run.folder.name,
        "kind": "baseline",
        "model": results.get("model"),
        "seeds": [],
        "failed": [],
        "impossible": None,
        "scores": _scores({0: results["test"]}),
        "cost": _costs({name: cost.get(name) for name in COSTS}),
        "tuned": None,
        "stages": None,
        "retention": {},
        "kept": None,
        "probe": None,
    }


def _costs(values: Mapping[str, object]) -> CostSummary:
    return cast(CostSummary, values)


def _scores(tests: Mapping[int, Scores]) -> dict[str, ScoreSummary]:
    """Each score's mean and deviation over seeds, and its value by seed."""
    if not tests:
        return {}
    first = next(iter(tests.values()))
    names = [name for name, value in first.items() if isinstance(value, float)]
    scores: dict[str, ScoreSummary] = {}
    for name in names:
        values = np.array([test[name] for test in tests.values()])
        scores[name] = {
            "mean": float(values.mean()),
            "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
            "interval": None,
            "by_seed": {str(seed): test[name] for seed, test in tests.items()},
        }
    return scores


def ran_beside(runs: Iterable[Run]) -> int:
    """The most cells that ran side by side; wall time is no cell's own where that is above 1."""
    return max((cell_record(run)["cost"].get("workers", 1) for run in runs), default=1)


def _own_share(run: Run, beside: bool) -> float:
    """The share of a cell's wall time that its process computed; 1 where it had the machine."""
    taken = cell_record(run)["cost"]
    computed = taken.get("cpu_seconds") if beside else None
    return 1.0 if computed is None else float(computed / taken["seconds"])


def _cost(run: Run, metric: str, beside: bool) -> dict[str, float | None]:
    """What a cell took."""
    results, taken = run.results, cell_record(run)["cost"]
    own = _own_share(run, beside)
    to_95 = seconds_to_share(list(run.read_lines("metrics.jsonl")), metric)
    on_gpu = run.read("environment.json")["device"] not in ("cpu", "mps")
    parameters, cost = results["parameters"], results["cost"]
    return {
        "seconds": own * taken["seconds"],
        "train_seconds": own * cost["train_seconds"],
        "examples_per_second": cost["examples_per_second"] / own,
        "memory_bytes": cost["peak_memory_bytes"] if on_gpu else taken["memory_bytes"],
        "artifact_bytes": cost["artifact_bytes"],
        "trainable": parameters["trainable"],
        "trainable_share": parameters["trainable"] / parameters["total"],
        "seconds_to_95": None if to_95 is None else own * to_95,
        "epochs": results["training"]["epochs"],
    }


def seconds_to_share(rows: Sequence[dict[str, Any]], metric: str) -> float | None:
    """Seconds of training until validation first reached 95% of the score that was kept.

    Where less is better: until it first came within 1/0.95 of it. As fine as the evaluation
    schedule; None without evaluations.
    """
    looks = [row for row in rows if row["split"] == "validation" and row.get(metric) is not None]
    if not looks:
        return None
    lower = lower_is_better(metric)
    kept = (min if lower else max)(row[metric] for row in looks)
    goal = kept / _NEARLY_FINAL if lower else kept - (1 - _NEARLY_FINAL) * abs(kept)
    reached = (row for row in looks if (row[metric] <= goal if lower else row[metric] >= goal))
    return float(next(reached)["seconds"])


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _own_stages(run: Run, beside: bool) -> dict[str, float] | None:
    stages, own = run.results["cost"].get("stages"), _own_share(run, beside)
    return stages and {name: own * seconds for name, seconds in stages.items()}


def _stages(found: list[dict[str, float] | None]) -> dict[str, float | None] | None:
    """Seconds of training of each stage of a pipeline, means over seeds; None for other runs."""
    known = [stages for stages in found if stages is not None]
    return {name: _mean(stages[name] for stages in known) for name in known[0]} if known else None


def _retention(found: Sequence[Retention]) -> Retention:
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
