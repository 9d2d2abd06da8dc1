"""The report of a sweep: a single HTML file made from its `sweep.json`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from welltuned.reports import sweep_charts
from welltuned.reports.page import render
from welltuned.runs.folder import write_atomically


def write_sweep_report(folder: Path) -> Path:
    """Write `report.html` into a sweep's folder and return its path."""
    summary = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    file = folder / "report.html"
    write_atomically(file, render("sweep.html.j2", _content(folder, summary)))
    return file


def _content(folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    trials, metric, space = summary["trials"], summary["metric"], summary["space"]
    best = next((trial for trial in trials if trial["number"] == summary["best"]), None)
    usual = next((t for t in trials if t["usual"] and t["value"] is not None), None)
    maximize = summary["direction"] == "maximize"
    return {
        **summary,
        "name": folder.name,
        "title": f"Sweep of {summary['strategy']} · {Path(summary['model']).name}",
        "best": best,
        "usual": usual,
        "gain": best["value"] - usual["value"] if best and usual else None,
        "usual_values": summary["usual"],
        "counts": Counter(trial["state"] for trial in trials),
        "finished": sum(trial["value"] is not None for trial in trials),
        "history": sweep_charts.history(
            trials, metric, maximize, usual["value"] if usual else None
        ),
        "slices": sweep_charts.slices(trials, space, metric, best["number"]) if best else [],
        "parallel": sweep_charts.parallel(trials, space, metric, best["number"]) if best else None,
        "ranked": _ranked(trials, maximize),
        "shown": shown,
        "tried": {key: _tried(dimension) for key, dimension in space.items()},
        "config_text": (folder / "config.yaml").read_text(encoding="utf-8"),
    }


def _ranked(trials: list[dict[str, Any]], maximize: bool) -> list[dict[str, Any]]:
    """Trials with a score, best first; then the others in order."""
    scored = [trial for trial in trials if trial["value"] is not None]
    scored.sort(key=lambda trial: -trial["value"] if maximize else trial["value"])
    return scored + [trial for trial in trials if trial["value"] is None]


def _tried(dimension: dict[str, Any]) -> str:
    """A dimension for people."""
    if "values" in dimension:
        return ", ".join(map(str, dimension["values"]))
    ends = f"{shown(dimension['low'])} to {shown(dimension['high'])}"
    return ends + (", by factors" if dimension["log"] else "")


def shown(value: Any) -> str:
    """A hyper-parameter for people: three digits are enough."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
