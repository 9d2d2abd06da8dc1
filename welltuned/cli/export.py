"""The verb that writes a plain Hugging Face folder: `export`."""

from __future__ import annotations

from typing import Annotated

import typer

from welltuned.cli.app import AllowImports, app
from welltuned.errors import Fault, InputError
from welltuned.schema.imports import collector_paused


@app.command("export")
def export_command(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="to=FOLDER", help="Where to write the plain model."),
    ] = None,
    allow_imports: AllowImports = False,
) -> None:
    """Write the tuned model as a plain Hugging Face folder, merged where the method allows."""
    from welltuned.artifact.manifest import find_artifact

    pairs = dict(argument.partition("=")[::2] for argument in arguments or [])
    if set(pairs) != {"to"} or not pairs["to"]:
        raise InputError(
            Fault(
                "cli.export_options",
                "export needs to=FOLDER, and nothing else",
                None,
                "for example: welltuned export runs/mine to=merged",
            )
        )
    find_artifact(run)  # what is none is told before torch is imported
    with collector_paused():
        from welltuned.artifact.export import export_run

    print(export_run(run, pairs["to"]))
