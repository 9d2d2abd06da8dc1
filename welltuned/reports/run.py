"""Run report: one HTML file made from the run folder alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from welltuned.metrics.entities import find_entities
from welltuned.reports import charts, search_charts
from welltuned.reports.forgetting import forgetting_content
from welltuned.reports.page import render_page
from welltuned.reports.translations import Translate, translator
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import AutoTuned, RunResults, Scores

_MISTAKES = 20
_UNBOUNDED = ("mae", "rmse", "loss", "perplexity", "bleu", "chrf", "margin")
"""Scores that are not shares of one, so no bar is drawn for them."""
_SAMPLES = 20
_NUMBERS = ("regression", "ratings")
"""Problems whose predictions are numbers."""
_PAIRS = ("preferences", "direct_preference")
"""Problems whose test rows are pairs of responses."""


def write_run_report(run: Run, language: str | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    language = language or str(run.config.get("report", {}).get("language", "en"))
    html = render_page("run.html.j2", _content(run, translator(language)), language)
    write_atomically(run.report, html)
    return run.report


def _content(run: Run, _: Translate) -> dict[str, Any]:
    results, data, config = run.results, run.read("data.json"), run.config
    predictions = list(run.read_lines("predictions.jsonl"))
    metrics, judged = (
        list(run.read_lines("metrics.jsonl")),
        results[run.judged],
    )
    task = data["task"]
    single = task["problem"] == "single_label"
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
        "scores": _score_rows(judged, results),
        "curves": _curves(metrics, results["metric"], _),
        "warnings": [row for row in metrics if "warning" in row],
        "found": _found(results.get("found", {}), _),
        "forgetting": forgetting_content(results),
        "judged": run.judged,
        "looks": [row for row in metrics if row.get(results["metric"]) is not None],
        "per_class": judged.get("per_type", judged.get("per_class", {})),
        "confusion": _confusion(judged["confusion"], task["labels"]) if single else None,
        "reliability": _reliability(predictions, _)
        if single or task["problem"] in _PAIRS
        else None,
        "pairs": task["problem"] in _PAIRS,
        "scatter": charts.scatter(
            [row["label"] for row in predictions], [row["prediction"] for row in predictions], _
        )
        if task["problem"] in _NUMBERS
        else None,
        "samples": [row for row in predictions if "reference" in row][:_SAMPLES],
        "mistakes": _mistakes(predictions, task["problem"]),
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
        unit = name not in _UNBOUNDED and all(
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


def _curves(metrics: list[dict[str, Any]], metric: str, _: Translate) -> Any:
    train = [row for row in metrics if row["split"] == "train" and "loss" in row]
    validation = [row for row in metrics if row["split"] == "validation"]
    changes = [row for row in metrics if "change" in row]
    return charts.training_curves(train, validation, metric, changes, _)


def _found(found: AutoTuned, _: Translate) -> dict[str, Any]:
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


def _reliability(predictions: list[dict[str, Any]], _: Translate) -> Any:
    confidences = [max(row["probabilities"].values()) for row in predictions]
    return charts.reliability(
        confidences, [row["prediction"] == row["label"] for row in predictions], _
    )


def _mistakes(predictions: list[dict[str, Any]], problem: str) -> list[dict[str, Any]]:
    """Where the model is wrong and most sure of it."""
    if problem == "generation":
        return []
    if problem in _NUMBERS:
        worst = sorted(predictions, key=lambda row: -abs(row["prediction"] - row["label"]))
        return [_as_text_pair(row) for row in worst[:_MISTAKES]]
    wrong = [row for row in predictions if row["prediction"] != row["label"]]
    if problem == "token_classification":
        return _wrong_sentences(wrong)
    if problem == "multi_label":
        return sorted(wrong, key=lambda row: -len(set(row["prediction"]) ^ set(row["label"])))[
            :_MISTAKES
        ]
    return sorted(wrong, key=lambda row: -row["probabilities"][row["prediction"]])[:_MISTAKES]


def _as_text_pair(row: dict[str, Any]) -> dict[str, Any]:
    """A prompt and its response as the two texts of a pair."""
    pair = {"prompt": "text", "response": "text_pair"}
    return {pair.get(name, name): value for name, value in row.items()}


def _wrong_sentences(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sentences with the most mistakes: what is there, and what was found instead."""
    mistakes = []
    for row in rows:
        true, found = _marks(row, "label"), _marks(row, "prediction")
        if wrong := len(set(true) ^ set(found)):
            mistakes.append((wrong, {**row, "label": _told(true), "prediction": _told(found)}))
    mistakes.sort(key=lambda mistake: -mistake[0])
    return [row for _, row in mistakes[:_MISTAKES]]


def _marks(row: dict[str, Any], key: str) -> list[tuple[str, int, str]]:
    """(words, where they begin, type) of the entities; where there are none, of the wrong words."""
    if "entities" in row:
        return [
            (" ".join(row["words"][entity.start : entity.stop]), entity.start, entity.type)
            for entity in find_entities(row[key])
        ]
    pairs = zip(row["label"], row["prediction"], strict=True)
    wrong = [i for i, (label, prediction) in enumerate(pairs) if label != prediction]
    return [(row["words"][i], i, row[key][i] or "?") for i in wrong]


def _told(marks: list[tuple[str, int, str]]) -> list[str]:
    return [f"{words} ({kind})" for words, _, kind in marks] or ["nothing"]


def _command(run: Run) -> str:
    return (
        run.read("environment.json").get("command")
        or f"welltuned train {shlex.quote(str(run.folder / 'config.yaml'))} output_dir=NEW_FOLDER"
    )
