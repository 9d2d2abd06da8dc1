"""Layer-probe report (`welltuned probe --chart`): one HTML file."""

from __future__ import annotations

from pathlib import Path

from welltuned.reports import charts
from welltuned.reports.page import render_page
from welltuned.reports.translations import Translator
from welltuned.runs.folder import write_atomically
from welltuned.runs.results_schema import ProbeResult


def write_probe(found: ProbeResult, file: Path, language: str = "en") -> Path:
    """Write what a probe found as a page; returns its path."""
    layers = charts.layer_probe(
        found["regions"], found["before"], None, found["metric"], found["chance"],
        Translator(language),
    )  # fmt: skip
    content = {"found": found, "layers": layers}
    write_atomically(file, render_page("probe.html.j2", content, language))
    return file
