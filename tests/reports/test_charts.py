"""Charts: what they are cut down to."""

from __future__ import annotations

import io
import re

import pytest

from welltuned.reports.charts import figure_in_style, to_svg


def box(svg: str) -> list[float]:
    """Where a picture begins, its width and its height, in points."""
    found = re.search(r'viewBox="([^"]*)"', svg)
    assert found is not None
    return [float(number) for number in found.group(1).split()]


def test_a_chart_is_cut_down_to_what_is_drawn() -> None:
    """As matplotlib would, which draws twice for it; labels that stick out are kept."""
    with figure_in_style(3, 2) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1000])
        axis.set_ylabel("a label\nof two lines")
        axis.annotate("far to the right of everything", (1, 500))
        theirs = io.StringIO()
        figure.savefig(theirs, format="svg", bbox_inches="tight")
        ours = to_svg(figure, "A chart")
        assert box(ours) == pytest.approx(box(theirs.getvalue()), abs=2)
        assert box(ours)[2] > 3 * 72, "it is wider than the figure"
