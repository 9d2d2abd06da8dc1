"""Comparison report: one HTML file made from the comparison's folder alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from welltuned.metrics import family_of, lower_is_better
from welltuned.reports import comparison_charts as charts
from welltuned.reports.comparison_tables import disputed, per_class
from welltuned.reports.page import metric_name, render_page, sorted_rows
from welltuned.reports.suspects import shown_suspects
from welltuned.reports.translations import Translator
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    BESIDE,
    ComparisonRecord,
    ComparisonResults,
    ComparisonRow,
    PairRecord,
)
from welltuned.runs.folder import write_atomically
from welltuned.schema.messages import Message


def write_comparison_report(comparison: Comparison, language: str | None = None) -> Path:
    """Write `report.html` into the comparison's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    language = language or str(comparison.record["report"]["language"])
    content = _content(comparison, Translator(language))
    write_atomically(comparison.report, render_page("comparison.html.j2", content, language))
    return comparison.report


def _content(comparison: Comparison, _: Translator) -> dict[str, Any]:
    record, results = comparison.record, comparison.results
    metric, shown = results["metric"], _(metric_name(results["metric"]))
    rows = sorted_rows(results)
    strategies = [r for r in rows if r["kind"] == "strategy" and r["seeds"]]
    numbers = {row["name"]: number for number, row in enumerate(strategies)}
    first = _first_run(comparison, strategies)
    family = family_of(first.read("data.json")["task"]) if first else None
    asked = record["asked"]
    return {
        "title": comparison.name,
        "comparison": comparison,
        "record": record,
        "results": results,
        "asked": asked,
        "models": _models(record),
        "compared": _compared(strategies, _),
        "names": {row["name"]: _row_name(row["name"], row["kind"], _) for row in rows},
        "trials": asked.get("tune"),
        "reasons": [_reason(reason, _) for reason in results["recommendation"]["reasons"]],
        "remarks": [_reason(remark, _) for remark in results["remarks"]],
        "rows": rows,
        "strategies": strategies,
        "metric": metric,
        "metric_name": shown,
        "others": _other_metrics(strategies, metric),
        "retained": sorted({name for row in rows for name in row["retention"]}),
        "against_best": _against_best(results),
        "standings": {one["name"]: one for one in results.get("standings", [])},
        "dots": _dots(rows, results, shown, _),
        "cost_chart": _cost_chart(strategies, numbers, metric, shown, _),
        "retention_charts": _retention_charts(strategies, numbers, metric, shown, _),
        "curves": _curves(comparison, strategies, numbers, results["asked_metric"], _),
        "blocks": _blocks(strategies, numbers, _),
        "per_class": per_class(comparison, strategies),
        "disputed": disputed(comparison, strategies, family) if family else [],
        "labels_to_check": shown_suspects(comparison, strategies),
        "numbers": family is not None and family.are_numbers,
        "problems": [row for row in rows if row["failed"] or row["impossible"]],
        "data": first.read("data.json") if first else None,
        "task": first.read("data.json")["task"] if first else {},
        "environment": first.read("environment.json") if first else {},
        "budget": _budget(record),
        "commands": _commands(comparison, strategies),
        "config_text": yaml.safe_dump(asked, sort_keys=False, allow_unicode=True, width=100),
    }


def _reason(reason: Message, _: Translator) -> str:
    """A reason of the recommendation, the score's name in it translated too."""
    ours = ("metric", "baseline", "language", "where", "why")  # strategies are named by users
    values = {key: _own_word(v, _) if key in ours else v for key, v in reason["values"].items()}
    return _.message({**reason, "values": values})


def _own_word(name: str, _: Translator) -> str:
    """A name of ours, translated; that of a model may stand behind it."""
    word, beside, model = name.partition(BESIDE)
    return f"{_(word)}{beside}{model}"


def _row_name(name: str, kind: str, _: Translator) -> str:
    return _own_word(name, _) if kind == "baseline" else name


def _models(record: ComparisonRecord) -> list[str]:
    """The names of the models that took part."""
    here = [model["name"] for model in record.get("models", []) if model["here"]]
    return here or [str(record["asked"]["model"]["name"])]


def _compared(strategies: Sequence[ComparisonRow], _: Translator) -> str:
    """How many strategies there are, and on how many models."""
    models = {row.get("model") for row in strategies} - {None}
    number = len({row["name"].removesuffix(f"{BESIDE}{row.get('model')}") for row in strategies})
    if len(models) < 2:
        return _("{strategies} strategies", strategies=number)
    return _("{strategies} strategies on {models} models", strategies=number, models=len(models))


def _first_run(comparison: Comparison, strategies: Sequence[ComparisonRow]) -> Run | None:
    for row in strategies:
        return comparison.cell(row["slug"], row["seeds"][0])
    return None


def _other_metrics(strategies: Sequence[ComparisonRow], metric: str) -> list[str]:
    """Further scores with a column of their own: those a run gives intervals for."""
    if not strategies:
        return []
    return [name for name in strategies[0]["scores"] if name != metric][:1]


def _against_best(results: ComparisonResults) -> dict[str, PairRecord]:
    """Each strategy's distance from the best, by name; from the best's side."""
    best = results["best"]
    found: dict[str, PairRecord] = {}
    for pair in results["pairs"]:
        if pair["one"] == best:
            found[pair["other"]] = pair
        elif pair["other"] == best:  # word counts may be better than every strategy
            found[pair["one"]] = {
                **pair,
                "difference": -pair["difference"],
                "low": -pair["high"],
                "high": -pair["low"],
            }
    return found


# --- Charts ---------------------------------------------------------------------------


def _dots(
    rows: Sequence[ComparisonRow], results: ComparisonResults, shown: str, _: Translator
) -> Any:
    metric = results["metric"]
    dots: list[charts.Dots] = [
        {
            "name": _row_name(row["name"], row["kind"], _),
            "mean": row["scores"][metric]["mean"],
            "values": list(row["scores"][metric]["by_seed"].values()),
            "interval": row["scores"][metric]["interval"],
            "in_group": row["name"] in results["group"],
        }
        for row in rows
        if metric in row["scores"]
    ]
    return charts.score_dots(dots, shown, _) if dots else None


def _point(
    row: ComparisonRow, numbers: dict[str, int], x: float | None, metric: str
) -> charts.Point:
    assert x is not None, "strategies on a chart have finished"
    name, score = row["name"], row["scores"][metric]["mean"]
    return {"name": name, "number": numbers[name], "x": x, "y": score}


def _cost_chart(
    strategies: Sequence[ComparisonRow], numbers: dict[str, int], metric: str, shown: str,
    _: Translator,
) -> Any:  # fmt: skip
    points = [_point(row, numbers, row["cost"]["train_seconds"], metric) for row in strategies]
    if len(points) < 2:
        return None
    title = _("Test {metric} against the time of training", metric=shown)
    return charts.against(
        points, _("seconds of training"), shown, lower_is_better(metric), True, True, title, _
    )


def _retention_charts(
    strategies: Sequence[ComparisonRow], numbers: dict[str, int], metric: str, shown: str,
    _: Translator,
) -> dict[str, Any]:  # fmt: skip
    """For each retention set: score against what was kept."""
    found: dict[str, Any] = {}
    for name in sorted({name for row in strategies for name in row["retention"]}):
        points = [
            _point(row, numbers, row["retention"][name]["kept"], metric)
            for row in strategies
            if row["retention"].get(name, {}).get("kept") is not None
        ]
        if len(points) > 1:
            title = _("Test {metric} against what is kept of {name}", metric=shown, name=name)
            axis = _("share kept of {name}", name=name)
            found[name] = charts.against(points, axis, shown, False, False, False, title, _)
    return found


def _curves(
    comparison: Comparison, strategies: Sequence[ComparisonRow], numbers: dict[str, int],
    metric: str, _: Translator,
) -> dict[str, Any] | None:  # fmt: skip
    """The chart, and its lines for those who read them as a table."""
    lines: list[charts.Line] = []
    for row in strategies:
        looks = [
            [
                (look["seconds"], look[metric])
                for look in comparison.cell(row["slug"], seed).read_lines("metrics.jsonl")
                if look["split"] == "validation" and look.get(metric) is not None
            ]
            for seed in row["seeds"]
        ]
        common = list(zip(*looks, strict=False))  # the looks that every seed has
        if common:
            lines.append(
                {
                    "name": row["name"],
                    "number": numbers[row["name"]],
                    "x": [sum(s for s, _ in look) / len(look) for look in common],
                    "y": [sum(v for _, v in look) / len(look) for look in common],
                }
            )
    if not lines:
        return None
    return {"chart": charts.validation_curves(lines, _(metric_name(metric)), _), "lines": lines}


def _blocks(
    strategies: Sequence[ComparisonRow], numbers: dict[str, int], _: Translator
) -> dict[str, Any] | None:
    """The layer probe, where it was asked for."""
    probed = {row["name"]: row["probe"] for row in strategies if row["probe"]}
    probes: list[charts.ProbedBlocks] = [
        {"name": name, "number": numbers[name], "after": probe["after"]}
        for name, probe in probed.items()
        if probe.get("after")
    ]
    if not probes:
        return None
    before = next(iter(probed.values()))["before"]
    return {"chart": charts.blocks(probes, before, _), "before": before, "probes": probes}


# --- How it was made ---------------------------------------------------------------------


def _budget(record: ComparisonRecord) -> dict[str, Any]:
    """How many epochs the strategies train, or whether they have the same time."""
    spending = record["scouted"]["spending"]
    epochs = {
        name: part["epochs"] or (part["max_steps"] or 0) / part["steps_per_epoch"]
        for name, part in spending.items()
    }
    least, most = min(epochs.values()), max(epochs.values())
    timed = (record["asked"]["budget"] or {}).get("time") is not None
    return {"least": round(least, 2), "most": round(most, 2), "timed": timed}


def _commands(comparison: Comparison, strategies: Sequence[ComparisonRow]) -> list[tuple[str, str]]:
    """Each strategy's name with the command that repeats its first run."""
    commands = []
    for row in strategies:
        run = comparison.cell(row["slug"], row["seeds"][0])
        words = ["welltuned", "train", str(run.folder / "config.yaml")]
        words.append(f"output_dir=runs/{comparison.name}-{row['slug']}")
        commands.append((row["name"], shlex.join(words)))
    return commands
