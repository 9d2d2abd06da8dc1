"""`welltuned runs`: the runs of a folder, one row each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from welltuned.runs import list_runs


def describe_runs(folder: Path) -> list[dict[str, Any]]:
    """What is worth knowing of each run, oldest first."""
    rows = []
    for run in list_runs(folder):
        config, results = run.config, run.results
        metric = next(
            (name for name in results.get("test", {}) if f"{name}_ci95" in results["test"]), None
        )
        rows.append(
            {
                "run": str(run.folder),
                "state": run.state,
                "strategy": config.get("pipeline") or (config.get("strategy") or {}).get("type"),
                "model": config.get("model", {}).get("name"),
                "data": config.get("data", {}).get("train"),
                "metric": metric,
                "score": results["test"][metric] if metric else None,
                "interval": results["test"][f"{metric}_ci95"] if metric else None,
                "seconds": results.get("cost", {}).get("train_seconds"),
                "written": datetime.fromtimestamp(
                    (run.folder / "status.json").stat().st_mtime
                ).isoformat(timespec="seconds"),
                "error": run.status.get("error"),
            }
        )
    return rows


def runs_table(rows: list[dict[str, Any]]) -> Table:
    """The rows as a table for a terminal."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for name in ("run", "state", "strategy", "model", "data"):
        table.add_column(name)
    for name in ("test score", "time"):
        table.add_column(name, justify="right")
    styles = {"finished": "", "running": "cyan", "failed": "red", "stopped": "yellow"}
    for row in rows:
        score = (
            f"{row['metric']} {row['score']:.3f} "
            f"[{row['interval'][0]:.3f}, {row['interval'][1]:.3f}]"
            if row["metric"]
            else (row["error"] or "")[:60]
        )
        seconds = f"{row['seconds']:.0f} s" if row["seconds"] is not None else ""
        model = Path(row["model"] or "").name
        cells = (row["run"], row["state"], row["strategy"], model, row["data"], score, seconds)
        style = styles.get(row["state"], "")
        table.add_row(*(Text(cell or "") for cell in cells), style=style)
    return table
