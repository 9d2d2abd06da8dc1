"""The verb that looks at data without a model: `data`."""

from __future__ import annotations

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments


@app.command("data")
def data_command(arguments: Arguments = None, as_json: Json = False) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token."""
    from welltuned.cli.console.data import inspect

    file, overrides = split_arguments(arguments)
    inspection = inspect(file, overrides)
    if as_json:
        print_json(inspection.facts)
    else:
        from welltuned.cli.console.run import results_console

        results_console().print(inspection.render())
