"""The verb that lists runs and comparisons: `runs`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned.cli.app import Json, app, print_json


@app.command("runs")
def runs_command(
    folder: Annotated[
        str | None,
        typer.Argument(help="Where the runs are; without one, runs and comparisons."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs and comparisons with their state and test score."""
    from pathlib import Path

    from welltuned.cli.console.runs import describe_runs, runs_table

    folders = [folder] if folder else ["runs", "comparisons"]
    rows = [row for name in folders for row in describe_runs(Path(name))]
    if as_json:
        print_json(rows)
    elif not rows:
        print(f"no runs in {' or '.join(folders)}", file=sys.stderr)
    else:
        from welltuned.cli.console.run import results_console

        results_console().print(runs_table(rows))
