"""Range-test report: one HTML file."""

from __future__ import annotations

from pathlib import Path

from welltuned.reports import search_charts
from welltuned.reports.page import render_page
from welltuned.reports.translations import Translator
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import RangeTestResult


def write_page(file: Path, test: RangeTestResult, language: str = "en") -> None:
    """Write the page of one test, as `range_test.json` holds it."""
    content = {
        "title": f"{test['strategy']['type']} · {Path(test['model']).name}",
        "test": test,
        "chart": search_charts.range_test_chart(test, Translator(language)),
    }
    write_atomically(file, render_page("range_test.html.j2", content, language))
