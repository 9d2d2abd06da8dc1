"""Charts for tests: drawn only where one is looked at, for they take a third of a short run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from markupsafe import Markup, escape

from welltuned.reports.charts import to_svg

MODULES = ("charts", "comparison_charts", "search_charts")
"""Those of `welltuned.reports` that write charts."""


def without_charts(patch: pytest.MonkeyPatch) -> None:
    """Pages are written as ever, with an empty place that has the title where a chart would be.

    A test that looks for a chart fails then, so it cannot be left out of those that draw.
    """
    _draw_by(_undrawn, patch)


@contextmanager
def with_charts() -> Iterator[None]:
    """For what several files share, whichever of them asks for it first."""
    with pytest.MonkeyPatch.context() as patch:
        _draw_by(to_svg, patch)
        yield


def _draw_by(function: Any, patch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        patch.setattr(f"welltuned.reports.{module}.to_svg", function)


def _undrawn(figure: Any, title: str) -> Markup:
    return Markup(f'<div role="img" aria-label="{escape(title)}"></div>')
