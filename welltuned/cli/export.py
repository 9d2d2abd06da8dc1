"""The verb that writes a tuned model in another format: `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from welltuned.cli.app import AllowImports, Json, app, print_json
from welltuned.errors import Fault, InputError
from welltuned.schema.collector import collector_paused


@app.command("export")
def export_command(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="to=FORMAT [key=value …]",
            help="onnx, openvino, gguf, sentence-transformers or plain; "
            "precision=int8|fp16|fp32, out=FOLDER, limits.drop=POINTS.",
        ),
    ] = None,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Write the tuned model in another format, and prove it against the original.

    Its outputs, its score with the interval of the difference, its latency and throughput are
    measured on the run's own data; an int8 model that may lose more than limits.drop=0.5 points of
    the score is refused, once its costliest blocks were tried in higher precision.
    """
    from welltuned.artifact.manifest import find_artifact
    from welltuned.deployment.export.config import ExportSettings
    from welltuned.schema.validation import read_settings

    _require_format(arguments or [])
    settings = read_settings(ExportSettings, arguments or [])
    find_artifact(run)  # what is none is told before torch is imported
    with collector_paused(freeze=True):
        from welltuned.deployment.export.run_export import export_run
    chosen = settings.precision, settings.limits.drop
    folder = export_run(run, settings.to, settings.out, *chosen, tell=_tell)
    _print(folder, as_json)


def _require_format(arguments: list[str]) -> None:
    if not any(one.startswith("to=") and one != "to=" for one in arguments):
        raise InputError(
            Fault(
                "cli.export_options",
                "export needs to=FORMAT",
                None,
                "for example: welltuned export runs/mine to=openvino, or to=plain out=FOLDER",
            )
        )


def _tell(words: str) -> None:
    print(f"export: {words}", file=sys.stderr)


def _print(folder: Path, as_json: bool) -> None:
    """What it has come to."""
    from welltuned.runs.export_schema import exports_beside, read_export

    told = read_export(folder)
    if as_json:
        about = {key: value for key, value in told.items() if key != "model"}
        print_json({"folder": str(folder), **about})
        return
    from welltuned.cli.console.export import export_lines

    print("\n".join(export_lines(folder, told, exports_beside(folder))))
