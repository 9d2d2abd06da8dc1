"""Charts as inline SVG that follow the page's colours, light or dark.

matplotlib draws with a few stand-in colours; in the SVG they are replaced by
CSS variables. Text stays text, so it is searchable and scales with the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

INK, MUTED, GRID, FIRST, SECOND, SURFACE = (
    "#010101",
    "#020202",
    "#030303",
    "#040404",
    "#050505",
    "#060606",
)
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    FIRST: "--first",
    SECOND: "--second",
    SURFACE: "--surface",
}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "welltuned",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def to_svg(figure: Figure, title: str) -> Markup:
    """The figure as an `<svg>` that fills its container.

    It has its title for those who hear the page.
    """
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        transparent=True,
        bbox_inches="tight",
        metadata={"Date": None, "Creator": None},
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", title)  # charts share a page, and an id may be there once
    text = re.sub(r'(\bid="|"#|\(#)', rf"\1{prefix}-", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var({variable})")
    text = re.sub(r"font: (\d+(?:\.\d+)?)px [^;\"]*", r"font: \1px var(--sans)", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return Markup(
        text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}" class="chart"', 1)
    )


def training_curves(
    train: Sequence[dict[str, Any]],
    validation: Sequence[dict[str, Any]],
    metric: str,
    changes: Sequence[dict[str, Any]],
) -> Markup:
    """Training loss above, validation score below, over optimizer steps."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.2))
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"hspace": 0.12, "height_ratios": (3, 2)}
        )
        steps = [row["step"] for row in train]
        upper.plot(steps, [row["loss"] for row in train], color=GRID, linewidth=1.2)
        upper.plot(steps, _smooth([row["loss"] for row in train]), color=FIRST)
        upper.set_ylabel("training loss")
        for row in changes:
            for axis in (upper, lower):
                axis.axvline(row["step"], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
            upper.annotate(
                row["change"].removeprefix("unfroze "), (row["step"], 1),
                xycoords=("data", "axes fraction"), rotation=90,
                va="top", ha="right", fontsize=7, color=MUTED,
            )  # fmt: skip
        scored = [row for row in validation if metric in row]
        lower.plot(
            [row["step"] for row in scored],
            [row[metric] for row in scored],
            color=SECOND,
            marker="o",
            markersize=4,
        )
        best = [row for row in scored if row.get("best")]
        if best:
            lower.plot(
                best[-1]["step"],
                best[-1][metric],
                marker="o",
                markersize=9,
                markerfacecolor="none",
                markeredgecolor=SECOND,
            )
        lower.set_ylabel(f"validation {metric}")
        lower.margins(y=0.15)
        lower.set_xlabel("optimizer step")
        return to_svg(figure, f"Training loss and validation {metric} over steps")


def reliability(confidences: Sequence[float], correct: Sequence[bool]) -> Markup:
    """How often predictions of a given confidence are right.

    On the diagonal, confidence can be believed.
    """
    bins = 10
    members: list[list[int]] = [[] for _ in range(bins)]
    for i, confidence in enumerate(confidences):
        members[min(int(confidence * bins), bins - 1)].append(i)
    filled = [group for group in members if group]
    mean_confidence = [sum(confidences[i] for i in group) / len(group) for group in filled]
    accuracy = [sum(correct[i] for i in group) / len(group) for group in filled]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6, 3.4))
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axis.plot(mean_confidence, accuracy, color=FIRST, linewidth=1)
        largest = max(len(group) for group in filled)
        axis.scatter(
            mean_confidence,
            accuracy,
            s=[20 + 160 * len(group) / largest for group in filled],
            color=FIRST,
            alpha=0.85,
        )
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share right")
        return to_svg(figure, "Reliability: share of right predictions by confidence")


def scatter(labels: Sequence[float], predictions: Sequence[float]) -> Markup:
    """Predicted against true numbers."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 4.2))
        axis = figure.subplots()
        low, high = min(*labels, *predictions), max(*labels, *predictions)
        axis.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axis.scatter(labels, predictions, s=12, color=FIRST, alpha=0.6)
        axis.set(xlabel="true", ylabel="predicted")
        return to_svg(figure, "Predicted against true numbers")


def _smooth(values: Sequence[float]) -> list[float]:
    """An exponential moving average without the bias of its start."""
    keep = 0.8
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        smoothed.append(total / weight)
    return smoothed
