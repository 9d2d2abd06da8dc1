"""Charts as inline SVG that follow the page's light or dark colours.

matplotlib draws with a few stand-in colours; in the SVG they are replaced by
CSS variables. Text stays text, so it is searchable and scales with the page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from welltuned.reports.page import region_name
from welltuned.reports.translations import ENGLISH, Translator
from welltuned.runs.results_schema import AlphaPoint

if TYPE_CHECKING:
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
SERIES = tuple(f"#1{number}0{number}0{number}" for number in range(8))
"""Stand-ins of colours for things of which there are several."""
_VARIABLES |= {colour: f"--series-{number}" for number, colour in enumerate(SERIES)}
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


_MARGIN = 0.1
"""Around a chart, in inches."""


@contextmanager
def figure_in_style(width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many inches, to be drawn and written in the style of the pages.

    matplotlib takes most of a second to import, and a run draws only when it has finished.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        yield Figure(figsize=(width, height))


def to_svg(figure: Figure, title: str) -> Markup:
    """The figure as an `<svg>` that fills its container.

    It has its title for those who hear the page. What it is cut down to is measured here: asked
    for a tight box, matplotlib would draw everything twice.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: the browser has the letters that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            bbox_inches=figure.get_tightbbox().padded(_MARGIN),
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


def drawn(draw: Callable[[Figure], None], size: tuple[float, float], title: str) -> Markup:
    """A chart in the style of the pages; `draw` knows what belongs into it."""
    with figure_in_style(*size) as figure:
        draw(figure)
        return to_svg(figure, title)


def training_curves(
    train: Sequence[dict[str, Any]],
    validation: Sequence[dict[str, Any]],
    metric: str,
    changes: Sequence[dict[str, Any]],
    _: Translator = ENGLISH,
) -> Markup:
    """Training loss above, validation score below, over optimizer steps."""
    with figure_in_style(7.2, 4.2) as figure:
        upper, lower = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"hspace": 0.12, "height_ratios": (3, 2)}
        )
        steps = [row["step"] for row in train]
        upper.plot(steps, [row["loss"] for row in train], color=GRID, linewidth=1.2)
        upper.plot(steps, _smooth([row["loss"] for row in train]), color=FIRST)
        upper.set_ylabel(_("training loss"))
        for row in changes:
            for axis in (upper, lower):
                axis.axvline(row["step"], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
            upper.annotate(
                region_name(row["change"].removeprefix("unfroze "), _), (row["step"], 1),
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
        lower.set_ylabel(_("validation {metric}", metric=metric))
        lower.margins(y=0.15)
        lower.set_xlabel(_("optimizer step"))
        title = _("Training loss and validation {metric} over steps", metric=metric)
        return to_svg(figure, title)


def reliability(
    confidences: Sequence[float],
    correct: Sequence[bool],
    _: Translator = ENGLISH,
) -> Markup:
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
    with figure_in_style(3.6, 3.4) as figure:
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
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel=_("confidence"), ylabel=_("share right"))
        return to_svg(figure, _("Reliability: share of right predictions by confidence"))


def scatter(
    labels: Sequence[float],
    predictions: Sequence[float],
    _: Translator = ENGLISH,
) -> Markup:
    """Predicted against true numbers."""
    with figure_in_style(4.6, 4.2) as figure:
        axis = figure.subplots()
        low, high = min(*labels, *predictions), max(*labels, *predictions)
        axis.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axis.scatter(labels, predictions, s=12, color=FIRST, alpha=0.6)
        axis.set(xlabel=_("true"), ylabel=_("predicted"))
        return to_svg(figure, _("Predicted against true numbers"))


@dataclass(frozen=True)
class Panel:
    """One small chart: how a number went over steps, in training and in validation."""

    name: str
    train: Sequence[tuple[float, float]] = ()
    validation: Sequence[tuple[float, float]] = ()


def panels(charts: Sequence[Panel], steps: str, title: str) -> Markup:
    """Small charts side by side, two in a row; `steps` names what they go over."""
    rows = -(-len(charts) // 2)
    with figure_in_style(7.6, 2.1 * rows) as figure:
        axes = figure.subplots(rows, 2, sharex=True, squeeze=False).flatten()
        figure.subplots_adjust(hspace=0.42, wspace=0.26)
        for axis, chart in zip(axes, charts, strict=False):
            _draw(axis, chart)
        for axis in axes[len(charts) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(charts) - 2) : len(charts)]:
            axis.set_xlabel(steps)
            axis.tick_params(labelbottom=True)
        return to_svg(figure, title)


def _draw(axis: Any, chart: Panel) -> None:
    axis.set_title(chart.name, loc="left", fontsize=9.5, color=MUTED)
    axis.margins(y=0.12)
    if chart.train:
        steps, values = zip(*chart.train, strict=True)
        axis.plot(steps, values, color=GRID, linewidth=1.1)
        axis.plot(steps, _smooth(values), color=FIRST)
    if chart.validation:
        steps, values = zip(*chart.validation, strict=True)
        axis.plot(steps, values, color=SECOND, marker="o", markersize=3.5)


def _smooth(values: Sequence[float]) -> list[float]:
    """An exponential moving average without the bias of its start."""
    keep = 0.8
    smoothed, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        smoothed.append(total / weight)
    return smoothed


def layer_probe(
    regions: Sequence[str],
    before: Sequence[float],
    after: Sequence[float] | None,
    metric: str,
    chance: float,
    _: Translator = ENGLISH,
) -> Markup:
    """How well a task can be read off the embeddings and every block, before and after tuning."""
    places = range(len(regions))
    with figure_in_style(7.2, 3.2) as figure:
        axis = figure.subplots()
        axis.axhline(chance, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axis.annotate(_("chance"), (0, chance), fontsize=8, color=MUTED, va="bottom")
        axis.plot(places, before, color=FIRST, marker="o", markersize=5, label=_("before tuning"))
        if after is not None:
            axis.plot(
                places, after, color=SECOND, marker="s", markersize=5, label=_("after tuning")
            )
        axis.set_xticks(list(places), [_short(region, _) for region in regions])
        axis.set(xlabel=_("block, from below"), ylabel=_("linear probe, {metric}", metric=metric))
        axis.margins(y=0.15)
        axis.legend(loc="best")
        scores = zip(regions, before, strict=True)
        told = ", ".join(f"{region_name(region, _)} {score:.3f}" for region, score in scores)
        return to_svg(figure, _("Linear probe of every block before tuning: {scores}", scores=told))


def _short(region: str, _: Translator) -> str:
    """A region below an axis of blocks: a block by its number alone."""
    return _(region.removeprefix("block "))


def alpha_curve(
    curve: Sequence[AlphaPoint], metric: str, chosen: float, _: Translator = ENGLISH
) -> Markup:
    """Validation score over what was kept, at every place between the two sets of weights.

    Where nothing tells what was kept, over alpha.
    """
    shares = [point["kept"] for point in curve if point["kept"] is not None]
    kept = len(shares) == len(curve)
    across = shares if kept else [point["alpha"] for point in curve]
    scores = [point["validation"][metric] for point in curve]
    with figure_in_style(4.8, 3.6) as figure:
        axis = figure.subplots()
        axis.plot(across, scores, color=FIRST, marker="o", markersize=4, linewidth=1.2)
        for point, x, y in zip(curve, across, scores, strict=True):
            axis.annotate(
                f"{point['alpha']:g}", (x, y), xytext=(5, 4), textcoords="offset points",
                fontsize=8, color=MUTED,
            )  # fmt: skip
            if point["alpha"] == chosen:
                axis.plot(
                    x, y, marker="o", markersize=10, markerfacecolor="none",
                    markeredgecolor=SECOND, markeredgewidth=1.6,
                )  # fmt: skip
        across_name = _("kept") if kept else "alpha"
        axis.set(xlabel=across_name, ylabel=_("validation {metric}", metric=metric))
        axis.margins(0.15)
        return to_svg(figure, _alpha_title(kept, metric, chosen, _))


def _alpha_title(kept: bool, metric: str, chosen: float, _: Translator) -> str:
    if kept:
        return _(
            "Validation {metric} and what was kept for every alpha from the weights before tuning "
            "(0) to those after (1); chosen: {alpha}",
            metric=metric, alpha=f"{chosen:g}",
        )  # fmt: skip
    return _(
        "Validation {metric} for every alpha from the weights before tuning (0) to those after "
        "(1); chosen: {alpha}",
        metric=metric, alpha=f"{chosen:g}",
    )  # fmt: skip
