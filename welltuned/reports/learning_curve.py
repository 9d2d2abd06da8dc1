"""The page of a learning curve: a single HTML file made from its `learning_curve.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from welltuned.reports.charts import FIRST, MUTED, SECOND, drawn
from welltuned.reports.page import render
from welltuned.runs.folder import write_atomically


def write_curve_report(folder: Path) -> Path:
    """Write `report.html` into a curve's folder and return its path."""
    found = json.loads((folder / "learning_curve.json").read_text(encoding="utf-8"))
    content = {
        **found,
        "name": folder.name,
        "title": f"Learning curve of {found['strategy']} · {Path(found['model']).name}",
        "chart": _chart(found),
        "config_text": (folder / "config.yaml").read_text(encoding="utf-8"),
    }
    file = folder / "report.html"
    write_atomically(file, render("learning_curve.html.j2", content))
    return file


def _chart(found: dict[str, Any]) -> Markup:
    """Scores over the number of examples, the law with its band, and what it predicts."""
    metric, curve = found["metric"], found["curve"]
    points, ahead = found["points"], found["predictions"][1:]

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        sizes = [row["examples"] for row in curve]
        low, high = ([row[end] for row in curve] for end in ("low", "high"))
        axis.fill_between(sizes, low, high, color=FIRST, alpha=0.15, linewidth=0)
        axis.plot(sizes, [row["value"] for row in curve], color=FIRST, label="fitted law")
        for point in points:
            across = [point["examples"]] * len(point["scores"])
            axis.plot(across, point["scores"], "o", color=FIRST, markersize=3.5, alpha=0.6)
        axis.plot(
            [point["examples"] for point in points],
            [point["value"] for point in points],
            "_", color=FIRST, markersize=14, label="measured, and its mean",
        )  # fmt: skip
        errors = [[abs(p["value"] - p[end]) for p in ahead] for end in ("low", "high")]
        axis.errorbar(
            [point["examples"] for point in ahead], [point["value"] for point in ahead], errors,
            fmt="D", color=SECOND, markersize=5, linewidth=1.4, capsize=3, label="predicted",
        )  # fmt: skip
        axis.axvline(found["examples"], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        axis.set_xscale("log")
        axis.set_xticks([row["examples"] for row in [*points, *ahead]])
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", which="minor", length=0)
        axis.set(xlabel="training examples", ylabel=f"validation {metric}")
        axis.legend(loc="best", fontsize=8)

    return drawn(draw, (7.2, 3.8), f"Validation {metric} over the number of training examples")
