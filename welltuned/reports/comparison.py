"""The report of a comparison: a single HTML file made from its folder alone."""

from __future__ import annotations

from pathlib import Path

from welltuned.runs.comparison import Comparison


def write_report(comparison: Comparison) -> Path:
    """Write `report.html` into the comparison's folder and return its path."""
    return comparison.report
