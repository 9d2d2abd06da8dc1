"""Sweep report: one HTML file made from `sweep.json`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from welltuned.reports import sweep_charts
from welltuned.reports.page import metric_name, render_page
from welltuned.reports.translations import Translator
from welltuned.runs.folder import write_atomically
from welltuned.schema.versions import SWEEP


def write_sweep_report(folder: Path, language: str | None = None) -> Path:
    """Write `report.html` into a sweep's folder and return its path.

    In the language of its config, unless another is asked for.
    """
    summary = SWEEP.read(folder / "sweep.json")
    language = language or str(summary.get("language", "en"))
    file = folder / "report.html"
    content = _content(folder, summary, Translator(language)) | {"language": language}
    write_atomically(file, render_page("sweep.html.j2", content, language))
    return file


def _content(folder: Path, summary: dict[str, Any], _: Translator) -> dict[str, Any]:
    trials, space = summary["trials"], summary["space"]
    metric = _(metric_name(summary["metric"]))
    best = next((trial for trial in trials if trial["number"] == summary["best"]), None)
    usual = next((t for t in trials if t["usual"] and t["value"] is not None), None)
    maximize = summary["direction"] == "maximize"
    return {
        **summary,
        "name": folder.name,
        "title": _(
            "Sweep of {strategy} · {model}",
            strategy=summary["strategy"],
            model=Path(summary["model"]).name,
        ),
        "metric_name": metric,
        "best": best,
        "usual": usual,
        "gain": best["value"] - usual["value"] if best and usual else None,
        "usual_values": summary["usual"],
        "counts": Counter(trial["state"] for trial in trials),
        "finished": sum(trial["value"] is not None for trial in trials),
        "history": sweep_charts.history(
            trials, metric, maximize, usual["value"] if usual else None, _
        ),
        "slices": sweep_charts.slices(trials, space, metric, best["number"], _) if best else [],
        "parallel": sweep_charts.parallel(trials, space, metric, best["number"], _)
        if best
        else None,
        "ranked": _ranked(trials, maximize),
        "side_by_side": any(trial.get("side_by_side") for trial in trials),
        "shown": shown,
        "tried": {key: _tried(dimension, _) for key, dimension in space.items()},
        "config_text": (folder / "config.yaml").read_text(encoding="utf-8"),
    }


def _ranked(trials: list[dict[str, Any]], maximize: bool) -> list[dict[str, Any]]:
    """Trials with a score, best first; then the others in order."""
    scored = [trial for trial in trials if trial["value"] is not None]
    scored.sort(key=lambda trial: -trial["value"] if maximize else trial["value"])
    return scored + [trial for trial in trials if trial["value"] is None]


def _tried(dimension: dict[str, Any], _: Translator) -> str:
    """A dimension for people."""
    if "values" in dimension:
        return ", ".join(map(str, dimension["values"]))
    low, high = shown(dimension["low"]), shown(dimension["high"])
    if dimension["log"]:
        return _("{low} to {high}, log scale", low=low, high=high)
    return _("{low} to {high}", low=low, high=high)


def shown(value: object) -> str:
    """A hyper-parameter for people: three digits are enough."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
