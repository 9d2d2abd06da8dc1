"""Verbs that look: `data`, `probe`, `runs`, `report`, `doctor`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments


@app.command()
def data(arguments: Arguments = None, as_json: Json = False) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token."""
    from welltuned.cli.console.data import inspect

    file, overrides = split_arguments(arguments)
    inspection = inspect(file, overrides)
    if as_json:
        print_json(inspection.facts)
    else:
        from welltuned.cli.console.run import results_console

        results_console().print(inspection.render())


@app.command()
def probe(
    arguments: Arguments = None,
    as_json: Json = False,
    chart: Annotated[
        str | None, typer.Option("--chart", metavar="FILE.html", help="Write a page with a chart.")
    ] = None,
) -> None:
    """See how well a task can be read off every block, and how many are worth unfreezing."""
    from pathlib import Path

    from welltuned.cli.console.run import ConsoleObserver, results_console
    from welltuned.reports.probe import write_probe
    from welltuned.training.load_config import load_config
    from welltuned.training.probe import probe as look
    from welltuned.training.probe import render_layer_probe

    file, overrides = split_arguments(arguments)
    observer = ConsoleObserver()
    try:
        found = look(load_config(file, overrides), observer)
    finally:
        observer.close()
    if as_json:
        print_json(found)
    else:
        results_console().print(render_layer_probe(found))
    if chart is not None:
        print(write_probe(found, Path(chart)), file=sys.stderr)


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


@app.command()
def report(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="The folder of a run, a pipeline, a comparison or a sweep."
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[language=en|zh]", help="Its language.")
    ] = None,
) -> None:
    """Write report.html again, from what is in the folder."""
    from welltuned.cli.comparing import rebuild_report

    print(rebuild_report(folder, arguments or []))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Print versions, devices and disk, and what is wrong."""
    from welltuned.cli.console.doctor import collect_diagnostics, render_diagnostics

    findings = collect_diagnostics()
    if as_json:
        print_json(findings)
    else:
        print(render_diagnostics(findings))
    if findings["problems"]:
        raise typer.Exit(1)
