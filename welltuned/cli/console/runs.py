"""`welltuned runs`: one row for each run or comparison in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NotRequired, TypedDict

from rich.table import Table
from rich.text import Text

from welltuned.errors import InputError
from welltuned.runs import Run, list_runs
from welltuned.runs.comparison_folder import Comparison, list_comparisons
from welltuned.runs.comparison_schema import ComparisonRecord
from welltuned.runs.results_schema import Scores
from welltuned.runs.status import resume_line
from welltuned.schema.units import duration_text

_ERROR = 80
"""So many characters of an error fit into the table; with --json there are all."""


class ListedRun(TypedDict):
    """A run or a comparison, as a list of runs has it."""

    run: str
    """Its folder."""
    state: str
    """As in status.json; `killed` where it says `running` and nobody is at work; `unreadable`."""
    strategy: str | None
    model: str | None
    data: str | None
    metric: str | None
    """The score that is shown; None where there is none."""
    split: NotRequired[str | None]
    """What was judged; a comparison is by its test split."""
    score: float | None
    interval: Sequence[float] | None
    seconds: float | None
    """Of training."""
    written: str
    """When, as ISO 8601."""
    error: str | None
    runs: NotRequired[str]
    """Of a comparison: how many of its runs are done."""


def describe_runs(folder: Path) -> list[ListedRun]:
    """What is worth knowing of each run, oldest first.

    A comparison is one row, and its runs are left to whoever lists its folder.
    """
    comparisons = [c for c in list_comparisons(folder) if c.folder != folder]
    rows = [
        _described(one.folder, "comparison.json", partial(_describe_comparison, one))
        for one in comparisons
    ]
    for run in list_runs(folder):
        if any(comparison.folder in run.folder.parents for comparison in comparisons):
            continue
        rows.append(_described(run.folder, "status.json", partial(_describe_run, run)))
    return sorted(rows, key=lambda row: row["written"])


def _described(folder: Path, file: str, describe: Callable[[], ListedRun]) -> ListedRun:
    """The row of a folder; one that cannot be read is listed by what is wrong with it."""
    try:
        return describe()
    except InputError as error:
        fault = error.faults[0]
        where = Path(fault.place.source).name + ": " if fault.place else ""
        return _unreadable(folder, file, where + fault.what)
    except (LookupError, TypeError, AttributeError, OSError) as error:
        said = f"its files are not what we write ({type(error).__name__}: {error})"
        return _unreadable(folder, file, said)


def _unreadable(folder: Path, file: str, error: str) -> ListedRun:
    return {
        "strategy": None,
        "model": None,
        "data": None,
        "metric": None,
        "interval": None,
        "seconds": None,
        "run": str(folder),
        "state": "unreadable",
        "error": error,
        "score": None,
        "written": _written(folder / file),
    }


def _describe_run(run: Run) -> ListedRun:
    config, results = run.config, run.results
    judged: Scores = results.get(run.judged, {})
    metric = next((name for name in judged if f"{name}_ci95" in judged), None)
    killed = run.was_killed
    return {
        "run": str(run.folder),
        "state": "killed" if killed else run.state,
        "strategy": config.get("pipeline") or (config.get("strategy") or {}).get("type"),
        "model": config.get("model", {}).get("name"),
        "data": config.get("data", {}).get("train"),
        "metric": metric,
        "split": run.judged if metric else None,
        "score": judged[metric] if metric else None,
        "interval": judged[f"{metric}_ci95"] if metric else None,
        "seconds": results.get("cost", {}).get("train_seconds"),
        "written": _written(run.folder / "status.json"),
        "error": _after_kill(run) if killed else run.status.get("error"),
    }


def _after_kill(run: Run) -> str:
    return resume_line(run) or "it was killed before its first step"


def _describe_comparison(comparison: Comparison) -> ListedRun:
    """A comparison as a row: the score is that of the recommended strategy, or of the best."""
    record, results = comparison.record, comparison.results
    cells = [cell for row in record["rows"] for cell in row["cells"]]
    done = sum(cell["state"] == "finished" for cell in cells)
    chosen = results.get("recommendation", {}).get("strategy") or results.get("best")
    row = next((row for row in results.get("rows", []) if row["name"] == chosen), None)
    score = row["scores"][results["metric"]] if row else None
    names = ", ".join(row["name"] for row in record["rows"])
    return {
        "run": str(comparison.folder),
        "state": record["state"],
        "strategy": chosen or names,
        "model": _models_of(record),
        "data": record["asked"]["data"]["train"],
        "metric": results["metric"] if score else None,
        "score": score["mean"] if score else None,
        "interval": score["interval"] if score else None,
        "seconds": sum(c.get("seconds") or 0.0 for c in cells),
        "written": _written(comparison.folder / "comparison.json"),
        "error": None,
        "runs": f"{done} of {len(cells)} runs of {len(record['rows'])} strategies",
    }


def _models_of(record: ComparisonRecord) -> str:
    """The one model by its name, or what several are called."""
    here = [model for model in record.get("models", []) if model["here"]]
    if len(here) > 1:
        return ", ".join(model["label"] for model in here)
    return here[0]["name"] if here else str(record["asked"]["model"]["name"])


def _written(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime).isoformat(timespec="seconds")


def runs_table(rows: Sequence[ListedRun]) -> Table:
    """The rows as a table for a terminal."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for name in ("run", "state", "strategy", "model", "data"):
        table.add_column(name)
    for name in ("score", "time"):
        table.add_column(name, justify="right")
    styles = {"running": "cyan", "failed": "red", "killed": "red", "stopped": "yellow"}
    for row in rows:
        score = f"{row['metric']} {row['score']:.3f}" if row["metric"] else ""
        if row["interval"]:
            score += f" [{row['interval'][0]:.3f}, {row['interval'][1]:.3f}]"
        if row.get("split") == "validation":
            score += " (validation)"
        score = " ".join(filter(None, (score, row.get("runs"), (row["error"] or "")[:_ERROR])))
        seconds = duration_text(row["seconds"]) if row["seconds"] is not None else ""
        model = Path(row["model"] or "").name
        cells = (row["run"], row["state"], row["strategy"], model, row["data"], score, seconds)
        style = styles.get(row["state"], "")
        table.add_row(*(Text(cell or "") for cell in cells), style=style)
    return table
