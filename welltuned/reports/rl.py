"""RL-stage report: reward, KL divergence and sample responses before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from markupsafe import Markup

from welltuned.reports import charts, rl_folder
from welltuned.reports.page import render_page, report_language
from welltuned.reports.phases import phase_shares
from welltuned.reports.translations import Translator
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import RunResults

_SAMPLES = 15
CHARTS = (
    ("reward", "reward"),
    ("kl", "KL to the reference, nats a response"),
    ("second_reward", "second reward"),
    ("entropy", "entropy, nats a token"),
    ("length", "tokens a response"),
    ("distinct_2", "different pairs of words"),
    ("approx_kl", "move per batch, nats a token"),
    ("clip_fraction", "share of clipped tokens"),
    ("value_loss", "value loss"),
    ("explained_variance", "returns foreseen"),
    ("kl_loss", "KL in the loss"),
    ("equal_groups", "share of groups that score the same"),
)
"""What is drawn, where a run has it."""
WATCHED = {
    "reward": "reward",
    "second_reward": "second reward",
    "kl": "KL",
    "length": "length",
    "eos_rate": "ended",
    "empty": "empty",
    "distinct_1": "distinct words",
    "distinct_2": "distinct pairs",
    "repetition": "repetition",
}


class ScoreChange(TypedDict):
    """A test score before and after, with the gain where it was measured in pairs."""

    name: str
    before: float
    after: float
    interval: list[float]
    gain: float | None
    gain_interval: list[float] | None


class Looks(TypedDict):
    """A table of looks at the validation prompts."""

    heads: list[str]
    rows: list[list[object]]


class ConfusionCell(TypedDict):
    """How often a class was predicted for another."""

    count: int
    share: float
    right: bool


class ConfusionRow(TypedDict):
    """One true class."""

    label: str
    cells: list[ConfusionCell]


class Confusion(TypedDict):
    """A confusion matrix."""

    title: str
    labels: Sequence[str]
    rows: list[ConfusionRow]


def write_rl_report(run: Run, language: str | None = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    language = report_language(run.config, language)
    html = render_page("rl.html.j2", content(run, Translator(language)), language)
    write_atomically(run.report, html)
    return run.report


def content(run: Run, _: Translator) -> dict[str, object]:
    """What the page shows."""
    results, config, data = run.results, rl_folder.stage_config(run), run.read("data.json")
    metrics = list(run.read_lines("metrics.jsonl"))
    predictions = list(run.read_lines("predictions.jsonl"))
    looks = [row for row in metrics if row["split"] == "validation"]
    return {
        "run": run,
        "title": f"{config['title']} · {Path(config['model']['name']).name}",
        "config": config,
        "config_text": (run.folder / "config.yaml").read_text(encoding="utf-8"),
        "results": results,
        "phases": phase_shares(results["cost"], _),
        "data": data,
        "environment": run.read("environment.json"),
        "cards": cards(results),
        "curves": rl_curves(metrics, _),
        "watched": safeguard_rows(looks, _),
        "confusions": confusions(results, data["task"].get("labels", [])),
        "samples": samples(predictions),
        "looks": looks,
        "generates": rl_folder.writes_text(data["task"]),
    }


def cards(results: RunResults) -> list[ScoreChange]:
    """Scores before and after, those with an interval."""
    test, before = results["test"], results["baselines"]["sft"]
    names = [name for name in test if f"{name}_ci95" in test and name in before]
    return [
        {
            "name": name,
            "before": before[name],
            "after": test[name],
            "interval": test[f"{name}_ci95"],
            "gain": test.get(f"{name}_gain"),
            "gain_interval": test.get(f"{name}_gain_ci95"),
        }
        for name in names
    ]


def rl_curves(metrics: Sequence[Mapping[str, Any]], _: Translator) -> Markup:
    """Every number of `CHARTS` that the run has, over batches."""
    shown = []
    for name, title in CHARTS:
        train, validation = (
            [
                (row["step"], row[name])
                for row in metrics
                if row["split"] == split and row.get(name) is not None
            ]
            for split in ("train", "validation")
        )
        if len(train) > 1 or len(validation) > 1:
            shown.append(charts.Panel(_(title), train, validation))
    return charts.panels(shown, _("batch"), _("Reward, divergence and their like over batches"))


def safeguard_rows(looks: Sequence[Mapping[str, object]], _: Translator) -> Looks:
    """The table of looks at the validation prompts: heads, and rows of numbers."""
    names = [name for name in WATCHED if any(name in row for row in looks)]
    shares = [name for name in looks[-1] if name.startswith("share.")] if looks else []
    heads = [_(WATCHED[name]) for name in names] + [name.removeprefix("share.") for name in shares]
    rows = [[row["step"], *(row.get(name) for name in (*names, *shares))] for row in looks]
    return {"heads": heads, "rows": rows}


def confusions(results: RunResults, labels: Sequence[str]) -> list[Confusion]:
    """The confusion matrices before and after; none for a generator."""
    found: list[Confusion] = []
    for title, scores in (("before", results["baselines"]["sft"]), ("after", results["test"])):
        if "confusion" not in scores:
            return []
        rows: list[ConfusionRow] = [
            {
                "label": label,
                "cells": [
                    {"count": count, "share": count / max(sum(row), 1), "right": i == j}
                    for j, count in enumerate(row)
                ],
            }
            for i, (label, row) in enumerate(zip(labels, scores["confusion"], strict=True))
        ]
        found.append({"title": title, "labels": labels, "rows": rows})
    return found


def samples(predictions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Test prompts whose answers are worth a look.

    Of generators the first ones, drawn with one seed; of classifiers those that changed their
    answer, since most do not.
    """
    if predictions and "label" in predictions[0]:
        changed = [row for row in predictions if row["response"] != row["before"]]
        changed.sort(key=lambda row: -abs(row["reward"] - row["reward_before"]))
        return changed[:_SAMPLES]
    return list(predictions[:_SAMPLES])
