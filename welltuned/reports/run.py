"""Run report: one HTML file made from the run folder alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from welltuned.metrics import family_of, metric_named
from welltuned.reports import charts, search_charts
from welltuned.reports.answered import answered_text
from welltuned.reports.decision_rule import decision_rule_content
from welltuned.reports.folds import folds_content
from welltuned.reports.forgetting import forgetting_content
from welltuned.reports.page import render_page, report_language
from welltuned.reports.phases import phase_shares
from welltuned.reports.translations import Translator
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import AutoTuned, RunResults, Scores

_MISTAKES = 20
_SAMPLES = 20


def write_run_report(run: Run, language: str | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    language = report_language(run.config, language)
    html = render_page("run.html.j2", _content(run, Translator(language)), language)
    write_atomically(run.report, html)
    return run.report


def _content(run: Run, _: Translator) -> dict[str, Any]:
    results, data, config = run.results, run.read("data.json"), run.config
    predictions = list(run.read_lines("predictions.jsonl"))
    metrics, judged = (
        list(run.read_lines("metrics.jsonl")),
        results[run.judged],
    )
    task = data["task"]
    family, scores = family_of(task), _score_rows(judged, results)
    mistakes = family.mistakes(predictions, _MISTAKES)
    return {
        "run": run,
        "title": f"{config['strategy']['type']} · {Path(config['model']['name']).name}",
        "config": config,
        "config_text": (run.folder / "config.yaml").read_text(encoding="utf-8"),
        "results": results,
        "data": data,
        "task": task,
        "environment": run.read("environment.json"),
        "command": _command(run),
        "scores": scores,
        "folds": folds_content(results, [row["name"] for row in scores]),
        "phases": phase_shares(results["cost"], _),
        "curves": None
        if "lbfgs" in results or "cross_validation" in results
        else _curves(metrics, results["metric"], _),
        "warnings": [row for row in metrics if "warning" in row],
        "found": _found(results.get("found", {}), _),
        "forgetting": _forgetting(results, _),
        "judged": run.judged,
        "looks": [row for row in metrics if row.get(results["metric"]) is not None],
        "per_class": judged.get("per_type", judged.get("per_class", {})),
        "confusion": _confusion(judged["confusion"], task["labels"])
        if "confusion" in judged
        else None,
        "reliability": _reliability(predictions, _) if family.has_confidence else None,
        "decisions": decision_rule_content(results, run.judged, predictions, family, _),
        "pairs": family.are_pairs,
        "family": family,
        "scatter": charts.scatter(
            [row["label"] for row in predictions], [row["prediction"] for row in predictions], _
        )
        if family.are_numbers
        else None,
        "answered": answered_text(results, _),
        "samples": [row for row in predictions if "reference" in row][:_SAMPLES],
        "mistakes": [_as_text_pair(row) for row in mistakes] if family.are_numbers else mistakes,
        "settings": {
            key: value
            for part in ("strategy", "training")
            for key, value in config[part].items()
            if value is not None and value != []
        },
    }


def _score_rows(judged: Scores, results: RunResults) -> list[dict[str, Any]]:
    """Each headline score with its interval, and the same of the baselines.

    Bars only for scores between 0 and 1.
    """
    rows = []
    for name, value in judged.items():
        interval = judged.get(f"{name}_ci95")
        if interval is None:
            continue
        baselines = {
            label: scores[name] for label, scores in results["baselines"].items() if name in scores
        }
        metric = metric_named(name)
        unit = (metric is None or metric.is_share) and all(
            0 <= number <= 1 for number in (value, *interval, *baselines.values())
        )
        rows.append(
            {
                "name": name,
                "value": value,
                "low": interval[0],
                "high": interval[1],
                "validation": results["validation"].get(name),
                "baselines": baselines,
                "unit": unit,
            }
        )
    return rows


def _forgetting(results: RunResults, _: Translator) -> dict[str, Any] | None:
    content = forgetting_content(results)
    if content is None:
        return None
    probe, wise = content["probe"], content["wise"]
    layers = probe and charts.layer_probe(
        probe["regions"], probe["before"], probe.get("after"), probe["metric"], probe["chance"], _
    )
    alphas = wise and charts.alpha_curve(wise["curve"], wise["metric"], wise["alpha"], _)
    return {**content, "layers": layers, "alphas": alphas}


def _curves(metrics: list[dict[str, Any]], metric: str, _: Translator) -> Any:
    train = [row for row in metrics if row["split"] == "train" and "loss" in row]
    validation = [row for row in metrics if row["split"] == "validation"]
    changes = [row for row in metrics if "change" in row]
    return charts.training_curves(train, validation, metric, changes, _)


def _found(found: AutoTuned, _: Translator) -> dict[str, Any]:
    """Charts of what was tried to settle hyper-parameters."""
    drawn: dict[str, Any] = {}
    if "learning_rate" in found:
        drawn["learning_rate"] = search_charts.range_test_chart(found["learning_rate"], _)
    if "batch_size" in found:
        search = found["batch_size"]
        drawn["batch_size"] = search_charts.throughput(search["tries"], search["size"], _)
    return drawn


def _confusion(counts: list[list[int]], labels: list[str]) -> list[dict[str, Any]]:
    """Rows of cells with their share of the true class, which tints them."""
    rows: list[dict[str, Any]] = []
    for label, row in zip(labels, counts, strict=True):
        total = sum(row)
        cells = [
            {"count": count, "share": count / total if total else 0.0, "right": i == len(rows)}
            for i, count in enumerate(row)
        ]
        rows.append({"label": label, "cells": cells, "total": total})
    return rows


def _reliability(predictions: list[dict[str, Any]], _: Translator) -> Any:
    confidences = [max(row["probabilities"].values()) for row in predictions]
    return charts.reliability(
        confidences, [row["prediction"] == row["label"] for row in predictions], _
    )


def _as_text_pair(row: dict[str, Any]) -> dict[str, Any]:
    """A prompt and its response as the two texts of a pair."""
    pair = {"prompt": "text", "response": "text_pair"}
    return {pair.get(name, name): value for name, value in row.items()}


def _command(run: Run) -> str:
    return (
        run.read("environment.json").get("command")
        or f"welltuned train {shlex.quote(str(run.folder / 'config.yaml'))} output_dir=NEW_FOLDER"
    )
