"""The verb that looks at data without a model: `data`."""

from __future__ import annotations

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments


@app.command("data")
def data_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token."""
    from welltuned.cli.data_request import read_data_request
    from welltuned.training.data_summary import summarise_data

    asked = read_data_request(*split_arguments(arguments))
    summary = summarise_data(asked.data, asked.task, asked.model)
    if as_json:
        print_json(summary.facts.as_dict())
    else:
        from welltuned.cli.console.data import show_data
        from welltuned.cli.console.run import results_console

        results_console().print(show_data(summary))
