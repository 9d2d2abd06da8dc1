"""The verb that reads the task off every block: `probe`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments


@app.command("probe")
def probe_command(
    arguments: Arguments = None,
    as_json: Json = False,
    chart: Annotated[
        str | None, typer.Option("--chart", metavar="FILE.html", help="Write a page with a chart.")
    ] = None,
    allow_imports: AllowImports = False,
) -> None:
    """See how well a task can be read off every block, and how many are worth unfreezing."""
    from pathlib import Path

    from welltuned.cli.console.probe import render_layer_probe
    from welltuned.cli.console.run import ConsoleObserver, results_console
    from welltuned.reports.probe import write_probe
    from welltuned.training.preparation.load_config import load_config

    file, overrides = split_arguments(arguments)
    observer = ConsoleObserver()
    try:
        config = load_config(file, overrides)
        from welltuned.training.probe import run_layer_probe

        found = run_layer_probe(config, observer)
    finally:
        observer.close()
    if as_json:
        print_json(found)
    else:
        results_console().print(render_layer_probe(found))
    if chart is not None:
        print(write_probe(found, Path(chart), config.report.language), file=sys.stderr)
