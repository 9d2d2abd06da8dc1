"""Charts for tests: drawn only where one is looked at, for they take a third of a short run."""

from __future__ import annotations

import pytest
from markupsafe import Markup

MODULES = ("charts", "comparison_charts", "search_charts")
"""Those of `welltuned.reports` that write charts."""


def without_charts(patch: pytest.MonkeyPatch) -> None:
    """Pages are written as ever, with nothing where a chart would be.

    A test that asks for a chart fails then, so it cannot be left out of those that draw.
    """
    for module in MODULES:
        patch.setattr(f"welltuned.reports.{module}.to_svg", lambda figure, title: Markup())
