"""What a run's report tells of its folds: how each scored, and what the final model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from welltuned.runs.results_schema import RunResults


class FoldRow(TypedDict):
    """A fold, as the template tells it."""

    examples: int
    scores: list[float | None]
    """By name, as the table has them."""
    report: str
    """Where its run's report is, from the whole's."""


class FoldTable(TypedDict):
    """All folds, as the template tells them."""

    rows: list[FoldRow]
    names: Sequence[str]
    """Of the scores."""
    deviations: list[float | None]
    """What one training set adds to each."""
    examples: int
    final: str | None
    report: str


def folds_content(results: RunResults, names: Sequence[str]) -> FoldTable | None:
    """A row for each fold, with the scores of these names; None for a run of one split."""
    whole = results.get("cross_validation")
    if whole is None:
        return None
    rows: list[FoldRow] = [
        {
            "examples": fold["examples"],
            "scores": [fold["scores"].get(name) for name in names],
            "report": f"{fold['run']}/report.html",
        }
        for fold in whole["folds"]
    ]
    return {
        "rows": rows,
        "names": names,
        "deviations": [whole["training_deviation"].get(name) for name in names],
        "examples": whole["examples"],
        "final": whole["final"],
        "report": f"{whole['final']}/report.html",
    }


def fold_lines(results: RunResults) -> list[str]:
    """The same as plain lines for a terminal: each fold's headline score, and the final model."""
    whole = results.get("cross_validation")
    if whole is None:
        return []
    name = next(name for name in results["test"] if f"{name}_ci95" in results["test"])
    scores = " ".join(f"{fold['scores'].get(name, float('nan')):.3f}" for fold in whole["folds"])
    deviation = whole["training_deviation"].get(name)
    told = f" · from one training set to another ±{deviation:.3f}" if deviation is not None else ""
    lines = [f"{len(whole['folds'])} folds".ljust(12) + f"{name} {scores}{told}"]
    if whole["final"] is not None:
        told = f"trained on all folds ({whole['examples']:,} examples), not tested itself"
        lines.append("model".ljust(12) + told)
    return lines
