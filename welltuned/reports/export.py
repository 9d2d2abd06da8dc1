"""The page of an exported model, beside all other exports of its run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from welltuned.reports.page import metric_name, render_page
from welltuned.reports.translations import Translator
from welltuned.runs.export_schema import ExportFile, ExportProof, exports_beside, read_export
from welltuned.runs.folder import write_atomically

EXPORT_PAGE = "export.html"


class ExportRow(TypedDict):
    """One format, as people read it."""

    name: str
    """The format and its precision."""
    score: float
    interval: list[float] | None
    """Of the difference to the original, 95%; None of the original itself."""
    same: float | None
    """The share of answers that are the original's; None where answers are numbers."""
    largest: float | None
    """The largest difference of any output."""
    milliseconds: float
    texts_per_second: float
    times: float
    """How many times the texts per second of the original, measured in alternation."""
    bytes: int


def write_export_report(folder: Path, language: str | None = None) -> Path:
    """Write `export.html` into an exported folder and return its path.

    In the language of its run's config, unless another is asked for.
    """
    told = read_export(folder)
    language = language or told["language"]
    proof = told["proof"]
    content = {
        "name": folder.name,
        "told": told,
        "proof": proof,
        "might_change": might_change(proof) if proof else None,
        "rows": export_rows(exports_beside(folder), told),
        "metric_name": Translator(language)(metric_name(proof["score"]["metric"])) if proof else "",
    }
    file = folder / EXPORT_PAGE
    write_atomically(file, render_page("export.html.j2", content, language))
    return file


def export_rows(exports: list[ExportFile], own: ExportFile) -> list[ExportRow]:
    """The original as it was measured beside `own`, and each export with a proof."""
    if own["proof"] is None:
        return []
    return [_original(own["proof"]), *_exported(exports)]


def might_change(proof: ExportProof) -> float | None:
    """Where none of the examples changed its score: up to which share of others might, with 95%
    confidence (the rule of three); None where some did."""
    score = proof["score"]
    if any(score["change"]["difference_ci95"]) or score["drop"]:
        return None
    return min(1.0, 3 / score["examples"])


def _original(proof: ExportProof) -> ExportRow:
    cost, score = proof["original"], proof["score"]
    return {
        "name": "original",
        "score": float(score["change"]["before"]),
        "interval": None,
        "same": None,
        "largest": None,
        "milliseconds": cost["milliseconds"],
        "texts_per_second": cost["texts_per_second"],
        "times": 1.0,
        "bytes": cost["bytes"],
    }


def _exported(exports: list[ExportFile]) -> Iterator[ExportRow]:
    for told in exports:
        if (proof := told["proof"]) is None:
            continue
        cost, original, score = proof["exported"], proof["original"], proof["score"]
        yield {
            "name": f"{told['format']} {told['precision']}",
            "score": float(score["change"]["after"]),
            "interval": [float(end) for end in score["change"]["difference_ci95"]],
            "same": proof["agreement"]["same_answers"],
            "largest": proof["agreement"]["largest"],
            "milliseconds": cost["milliseconds"],
            "texts_per_second": cost["texts_per_second"],
            "times": cost["texts_per_second"] / original["texts_per_second"],
            "bytes": cost["bytes"],
        }
