"""Charts of a sweep: score by trial, and by hyper-parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard

from markupsafe import Markup

from welltuned.reports.charts import FIRST, GRID, MUTED, SECOND, drawn
from welltuned.reports.translations import Translator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHED = (0, (3, 3))


class TriedDimension(TypedDict, total=False):
    """A dimension of the space, as sweep.json has it: a range or a list of values."""

    low: float
    high: float
    log: bool
    values: list[Any]


class TriedValues(TypedDict):
    """What a chart reads of a trial in sweep.json, besides its score."""

    number: int
    state: str
    values: dict[str, Any]
    """What was tried, by key."""
    curve: list[float | None]
    """Its validation scores on the way."""


class ShownTrial(TriedValues):
    """A trial, whether or not it came to its end."""

    value: float | None
    """Its score; None where it did not."""


class FinishedTrial(TriedValues):
    """A trial that came to its end."""

    value: float


def history(
    trials: Sequence[ShownTrial],
    metric: str,
    maximize: bool,
    usual: float | None,
    _: Translator,
) -> Markup:
    """The score of each trial in the order they began, and the best so far."""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axis = figure.subplots()
        finished = _finished(trials)
        pruned = [
            (trial["number"], score)
            for trial in trials
            if trial["state"] == "pruned" and (score := trial["curve"][-1]) is not None
        ]
        better = max if maximize else min
        best: list[float] = []
        for trial in finished:
            best.append(better(best[-1], trial["value"]) if best else trial["value"])
        numbers = [trial["number"] for trial in finished]
        axis.step(numbers, best, where="post", color=FIRST, linewidth=1.2, label=_("best so far"))
        axis.plot(numbers, [t["value"] for t in finished], "o", color=FIRST, label=_("finished"))
        if pruned:
            axis.plot(
                [number for number, _score in pruned],
                [score for _number, score in pruned],
                "x",
                color=MUTED,
                label=_("score when pruned"),
            )
        if usual is not None:
            axis.axhline(usual, color=SECOND, linewidth=1.2, linestyle=_DASHED, label=_("defaults"))
        axis.set(xlabel=_("trial"), ylabel=_("validation {metric}", metric=metric))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper center", ncols=4, fontsize=8)

    return drawn(draw, (7.2, 3.4), _("Validation {metric} of each trial", metric=metric))


def slices(
    trials: Sequence[ShownTrial],
    space: Mapping[str, TriedDimension],
    metric: str,
    best: int,
    _: Translator,
) -> list[Markup]:
    """For each dimension the scores over its values, all others being what they were."""
    finished = _finished(trials)
    return [_slice(finished, key, dimension, metric, best, _) for key, dimension in space.items()]


def _finished(trials: Sequence[ShownTrial]) -> list[FinishedTrial]:
    return [trial for trial in trials if _has_score(trial)]


def _has_score(trial: ShownTrial) -> TypeGuard[FinishedTrial]:
    return trial["value"] is not None


def _slice(
    finished: Sequence[FinishedTrial],
    key: str,
    dimension: TriedDimension,
    metric: str,
    best: int,
    _: Translator,
) -> Markup:
    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        places = [_place(trial["values"][key], dimension) for trial in finished]
        scores = [trial["value"] for trial in finished]
        axis.scatter(places, scores, s=26, color=FIRST, alpha=0.75)
        chosen = next(i for i, trial in enumerate(finished) if trial["number"] == best)
        axis.scatter([places[chosen]], [scores[chosen]], s=90, facecolors="none", edgecolors=SECOND)
        if dimension.get("log"):
            _use_logarithms(axis, dimension["low"], dimension["high"])
        if "values" in dimension:
            labels = [str(value) for value in dimension["values"]]
            axis.set_xticks(range(len(labels)), labels)
            axis.margins(x=0.15)
        axis.set(xlabel=key, ylabel=metric)

    return drawn(draw, (3.6, 2.6), _("Validation {metric} over {key}", metric=metric, key=key))


def _place(value: Any, dimension: TriedDimension) -> float:
    """Where a value stands on its axis: itself or, in a list, its position."""
    return float(dimension["values"].index(value) if "values" in dimension else value)


def parallel(
    trials: Sequence[ShownTrial],
    space: Mapping[str, TriedDimension],
    metric: str,
    best: int,
    _: Translator,
) -> Markup:
    """Each finished trial as a line through its values to its score; good ones are darker."""
    finished = _from_worst(_finished(trials), best)
    scores = [trial["value"] for trial in finished]
    low, high = min(scores), max(scores)

    def heights(trial: FinishedTrial) -> list[float]:
        score = (trial["value"] - low) / (high - low) if high > low else 0.5
        return [*(_share(trial["values"][key], space[key]) for key in space), score]

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        names = [*space, metric]
        for rank, trial in enumerate(finished):
            good = 0.15 + 0.6 * rank / len(finished)
            axis.plot(heights(trial), color=FIRST, linewidth=1.2, alpha=good)
        axis.plot(heights(finished[-1]), color=SECOND, linewidth=2.4)
        for place, dimension in enumerate(space.values()):
            _mark(axis, place, _ticks(dimension))
        _mark(axis, len(space), [(0.0, f"{low:.3f}"), (1.0, f"{high:.3f}")])
        axis.set_xticks(range(len(names)), [name.rpartition(".")[2] for name in names])
        axis.tick_params(axis="x", rotation=20 if len(names) > 4 else 0, length=0)
        axis.set(ylim=(-0.12, 1.12), yticks=[])
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)

    title = _("Values and validation {metric} of each finished trial", metric=metric)
    return drawn(draw, (7.2, 3.4), title)


def _use_logarithms(axis: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.set_xlim(low / 1.15, high * 1.15)
    axis.xaxis.set_major_locator(LogLocator(subs=(1,) if high / low > 50 else (1, 2, 5)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _mark(axis: Axes, place: int, ticks: list[tuple[float, str]]) -> None:
    """An upright axis of its own, with its ticks beside it."""
    axis.axvline(place, color=GRID, linewidth=0.8)
    for height, text in ticks:
        axis.annotate(
            text, (place, height), xytext=(4, 0), textcoords="offset points",
            fontsize=7, color=MUTED, va="center",
        )  # fmt: skip


def _from_worst(finished: Sequence[FinishedTrial], best: int) -> list[FinishedTrial]:
    """Trials from the one farthest behind the best to the best itself."""
    top = next(trial["value"] for trial in finished if trial["number"] == best)
    return sorted(finished, key=lambda t: (-abs(top - t["value"]), t["number"] == best))


def _share(value: Any, dimension: TriedDimension) -> float:
    """Where a value lies between the ends of its dimension, 0 to 1."""
    if "values" in dimension:
        last = len(dimension["values"]) - 1
        return dimension["values"].index(value) / last if last else 0.5
    low, high, at = dimension["low"], dimension["high"], value
    if dimension["log"]:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return float((at - low) / (high - low))


def _ticks(dimension: TriedDimension) -> list[tuple[float, str]]:
    """(height, text) at the ends of a dimension, or at each value of a list."""
    if "values" in dimension:
        return [(_share(value, dimension), str(value)) for value in dimension["values"]]
    return [(0.0, f"{dimension['low']:.3g}"), (1.0, f"{dimension['high']:.3g}")]
