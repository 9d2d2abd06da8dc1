"""Charts for tests: drawn only where one is looked at, for they take a third of a short run."""

from __future__ import annotations

from typing import Any

import pytest
from markupsafe import Markup, escape

MODULES = ("charts", "comparison_charts", "search_charts")
"""Those of `welltuned.reports` that write charts."""


def without_charts(patch: pytest.MonkeyPatch) -> None:
    """Pages are written as ever, with an empty place that has the title where a chart would be.

    A test that looks for a chart fails then, so it cannot be left out of those that draw.
    """
    for module in MODULES:
        patch.setattr(f"welltuned.reports.{module}.to_svg", _undrawn)


def _undrawn(figure: Any, title: str) -> Markup:
    return Markup(f'<div role="img" aria-label="{escape(title)}"></div>')
