"""Charts of a learning-rate range test and of a batch-size search."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from welltuned.reports.charts import FIRST, GRID, MUTED, SECOND, figure_in_style, to_svg
from welltuned.reports.translations import ENGLISH, Translator
from welltuned.runs.results_schema import BatchSizeTry, LearningRateSearch

_VISIBLE = 1.5
"""Losses are shown up to so many times the greatest smoothed loss before the least one."""


def range_test_chart(test: LearningRateSearch, _: Translator = ENGLISH) -> Markup:
    """The loss over growing learning rates, and the rate that is suggested."""
    rates, smooth = test["rates"], test["smoothed"]
    least = min(range(len(smooth)), key=lambda i: smooth[i])
    with figure_in_style(7.2, 3.0) as figure:
        axis = figure.subplots()
        axis.plot(rates, test["losses"], color=GRID, linewidth=1.2)
        axis.plot(rates, smooth, color=FIRST)
        axis.axvline(test["suggestion"], color=SECOND, linewidth=1.5)
        axis.plot(rates[least], smooth[least], marker="o", markersize=5, color=FIRST)
        axis.annotate(
            f"{test['suggestion']:.2g}", (test["suggestion"], 1),
            xycoords=("data", "axes fraction"), xytext=(4, -4), textcoords="offset points",
            va="top", fontsize=9, color=MUTED,
        )  # fmt: skip
        axis.set_xscale("log")
        axis.set_ylim(0.9 * smooth[least], _VISIBLE * max(smooth[: least + 1]))
        axis.set(xlabel=_("learning rate"), ylabel=_("training loss"))
        return to_svg(figure, _("Training loss over growing learning rates"))


def throughput(tries: Sequence[BatchSizeTry], chosen: int, _: Translator = ENGLISH) -> Markup:
    """Examples per second over the number read at once, and the size that was chosen."""
    fitting = [
        (each["size"], speed)
        for each in tries
        if (speed := each["examples_per_second"]) is not None
    ]
    with figure_in_style(4.6, 2.6) as figure:
        axis = figure.subplots()
        sizes = [size for size, _speed in fitting]
        speeds = [speed for _size, speed in fitting]
        axis.plot(sizes, speeds, color=FIRST, marker="o", markersize=4)
        axis.axvline(chosen, color=SECOND, linewidth=1.5)
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.set_ylim(bottom=0)
        axis.set(xlabel=_("per-device batch size"), ylabel=_("examples per second"))
        return to_svg(figure, _("Examples per second by per-device batch size"))
