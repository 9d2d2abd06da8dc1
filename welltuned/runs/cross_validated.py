"""Cross-validated runs: a folder with a run for each fold, and what they come to together.

folds/N/         ordinary runs, each with one fold as its test split
final/           an ordinary run on all folds, whose model is that of the whole; not in a comparison
folds.jsonl      one fsynced line for each of these that has finished: what it took
predictions.jsonl, results.json, …  as in any run: the answers to all folds, with `fold`, scored
                 together
"""

from __future__ import annotations

from pathlib import Path

from welltuned.runs.folder import Run

FOLDS = "folds"
FINAL = "final"
SPENT = "folds.jsonl"


def is_cross_validated(run: Run) -> bool:
    """Whether its config asks for a run of each fold."""
    data = run.config.get("data")
    return isinstance(data, dict) and bool(data.get("folds")) and data.get("fold") is None


def finished_runs(folder: Path) -> int:
    """How many of the runs in the folder of a cross-validated run have finished."""
    inside = [*(folder / FOLDS).glob("*"), folder / FINAL]
    return sum(Run(one).is_finished for one in inside)
