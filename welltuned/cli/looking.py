"""Verbs that look: `data`, `runs`, `report`, `doctor`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments


@app.command()
def data(arguments: Arguments = None, as_json: Json = False) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token."""
    from welltuned.inspection import inspect

    file, overrides = split_arguments(arguments)
    inspection = inspect(file, overrides)
    if as_json:
        print_json(inspection.facts)
    else:
        from welltuned.console import results_console

        results_console().print(inspection.render())


@app.command()
def runs(
    folder: Annotated[
        str | None,
        typer.Argument(help="Where the runs are; without one, runs and comparisons."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs and comparisons with their state and test score."""
    from pathlib import Path

    from welltuned.listing import describe_runs, runs_table

    folders = [folder] if folder else ["runs", "comparisons"]
    rows = [row for name in folders for row in describe_runs(Path(name))]
    if as_json:
        print_json(rows)
    elif not rows:
        print(f"no runs in {' or '.join(folders)}", file=sys.stderr)
    else:
        from welltuned.console import results_console

        results_console().print(runs_table(rows))


@app.command()
def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN|COMPARISON", help="The folder of a run or a comparison.")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[language=en|zh]", help="Its language.")
    ] = None,
) -> None:
    """Write report.html again, from what is in the folder."""
    from welltuned.cli.comparing import rebuild_report

    print(rebuild_report(run, arguments or []))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Print versions, devices and disk, and what is wrong."""
    from welltuned.doctor import examine, render

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        print(render(findings))
    if findings["problems"]:
        raise typer.Exit(1)
