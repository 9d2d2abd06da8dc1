"""Charts of a comparison: scores with intervals, score against cost, validation curves, blocks.

Strategies are told apart by their names beside the marks, by the shape of the mark
and by colour, never by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from markupsafe import Markup

from welltuned.reports.charts import FIRST, INK, MUTED, SERIES, figure_in_style, to_svg
from welltuned.reports.translations import Translator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Dash = str | tuple[float, tuple[float, ...]]
_MARKERS = "osD^vPX*"
_DASHES: tuple[Dash, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))


class Look(TypedDict):
    """How matplotlib draws the lines and marks of one strategy."""

    color: str
    marker: str
    linestyle: Dash


class Dots(TypedDict):
    """The scores of one strategy."""

    name: str
    mean: float
    values: Sequence[float]
    """By seed."""
    interval: Sequence[float] | None
    """By test examples and seeds."""
    in_group: bool
    """Whether nothing tells it from the best."""


class Point(TypedDict):
    """One strategy's score, `y`, against something else."""

    name: str
    number: int
    """What it is told apart by, as `look_of` takes it."""
    x: float
    y: float


class Line(TypedDict):
    """One strategy's scores, `y`, on its way through `x`."""

    name: str
    number: int
    x: Sequence[float]
    y: Sequence[float]


class ProbedBlocks(TypedDict):
    """What a linear probe reads after tuning by one strategy, block by block from the bottom."""

    name: str
    number: int
    after: Sequence[float]


def look_of(number: int) -> Look:
    """Colour, mark and dash of the strategy of this number."""
    return {
        "color": SERIES[number % len(SERIES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _DASHES[number // len(SERIES) % len(_DASHES)],
    }


def score_dots(rows: Sequence[Dots], metric: str, _: Translator) -> Markup:
    """A line a strategy: every seed's score, their mean, and its interval."""
    with figure_in_style(9.0, 0.8 + 0.36 * len(rows)) as figure:
        axis = figure.subplots()
        for place, row in enumerate(rows):
            colour = FIRST if row["in_group"] else MUTED
            if row["interval"]:
                low, high = _within(row["interval"], rows)
                axis.plot([low, high], [place, place], color=colour, linewidth=5, alpha=0.3,
                          solid_capstyle="butt")  # fmt: skip
            axis.plot(row["values"], [place] * len(row["values"]), "o", color=colour,
                      markersize=4.5, alpha=0.75)  # fmt: skip
            axis.plot(row["mean"], place, "|", color=colour, markersize=15, markeredgewidth=2.5)
        axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axis.tick_params(axis="y", labelcolor=INK, length=0)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(_("test {metric}", metric=metric))
        return to_svg(figure, _("Test {metric} of each strategy, by seed", metric=metric))


def _within(interval: Sequence[float], rows: Sequence[Dots]) -> tuple[float, float]:
    """The interval, cut where it would press everything else together.

    Few seeds can give one that is wider than all scores are apart.
    """
    values = [value for row in rows for value in row["values"]]
    room = 0.25 * (max(values) - min(values) or 0.1)
    return max(interval[0], min(values) - room), min(interval[1], max(values) + room)


def against(
    points: Sequence[Point], axis_title: str, metric: str, lower_is_better: bool,
    logarithmic: bool, front: bool, title: str, _: Translator,
) -> Markup:  # fmt: skip
    """Score against something else.

    With `front`, a line joins those that nothing beats in both (Pareto).
    """
    with figure_in_style(5.4, 3.9) as figure:
        axis = figure.subplots()
        if front:
            best = pareto(points, lower_is_better)
            axis.plot([p["x"] for p in best], [p["y"] for p in best], color=MUTED, linewidth=1,
                      linestyle=(0, (4, 3)), zorder=1)  # fmt: skip
        for point in points:
            look: Look = {**look_of(point["number"]), "linestyle": "none"}
            axis.plot(point["x"], point["y"], markersize=8, **look)
        if logarithmic and _wide(points):
            _use_logarithms(axis)
        axis.margins(0.16)
        _name(figure, axis, points)
        axis.set_xlabel(axis_title)
        axis.set_ylabel(_("test {metric}", metric=metric))
        return to_svg(figure, title)


def pareto(points: Sequence[Point], lower_is_better: bool) -> list[Point]:
    """The points that no other beats in both, from the cheapest up."""
    sign = -1 if lower_is_better else 1
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p["x"], -sign * p["y"])):
        if not front or sign * point["y"] > sign * front[-1]["y"]:
            front.append(point)
    return front


def _wide(points: Sequence[Point]) -> bool:
    """Whether the points are so far apart that only a logarithmic axis shows them all."""
    places = [point["x"] for point in points]
    return bool(max(places) > 5 * min(places) > 0)


def _use_logarithms(axis: Axes) -> None:
    from matplotlib import ticker

    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    axis.xaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1.0, 2.0, 5.0)))


def _name(figure: Figure, axis: Axes, points: Sequence[Point]) -> None:
    """Each point's name beside it, where there is neither a name nor a point yet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    places = axis.transData.transform([(point["x"], point["y"]) for point in points])
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    for point in sorted(points, key=lambda p: p["y"]):
        for horizontal, vertical in _BESIDE:
            name = axis.annotate(
                point["name"], (point["x"], point["y"]), xytext=(horizontal, vertical),
                textcoords="offset points", ha="left" if horizontal > 0 else "right", va="center",
                fontsize=8.5, color=INK,
            )  # fmt: skip
            box = name.get_window_extent(renderer)
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            name.remove()
        # A name without a place is in the table; on top of another it would tell nothing.


_BESIDE = [(side * 8, height) for height in (0, 11, -11, 22, -22) for side in (1, -1)]


def validation_curves(lines: Sequence[Line], metric: str, _: Translator) -> Markup:
    """Validation score over seconds of training."""
    with figure_in_style(8.0, 3.4) as figure:
        axis = figure.subplots()
        for line in lines:
            axis.plot(line["x"], line["y"], markersize=4.5, linewidth=1.5,
                      label=line["name"], **look_of(line["number"]))  # fmt: skip
        axis.set_xlabel(_("seconds of training, the mean over seeds"))
        axis.set_ylabel(_("validation {metric}", metric=metric))
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5, handlelength=3.2)
        title = _("Validation {metric} over the time of training", metric=metric)
        return to_svg(figure, title)


def blocks(probes: Sequence[ProbedBlocks], before: Sequence[float], _: Translator) -> Markup:
    """What a linear probe reads from every block, before and after tuning."""
    with figure_in_style(8.0, 3.2) as figure:
        axis = figure.subplots()
        axis.plot(range(len(before)), before, color=INK, linewidth=2.5, label=_("before tuning"))
        for probe in probes:
            axis.plot(range(len(probe["after"])), probe["after"], markersize=4.5, linewidth=1.4,
                      label=probe["name"], **look_of(probe["number"]))  # fmt: skip
        axis.set_xticks(range(len(before)))
        axis.set_xlabel(_("block, from the bottom (0: the embeddings)"))
        axis.set_ylabel(_("linear probe"))
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5, handlelength=3.2)
        return to_svg(figure, _("What a linear probe reads from each block, before and after"))
