"""The verb that scores a tuned model on another file: `evaluate`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from welltuned import load
from welltuned.cli.app import AllowImports, Json, app, print_json
from welltuned.cli.data_keys import data_config
from welltuned.schema.collector import collector_paused
from welltuned.schema.messages import render_message


@app.command("evaluate")
def evaluate_command(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="data=FILE [key=value …]", help="A labelled file, and keys of `data:`."
        ),
    ] = None,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Score a tuned model on another labelled file."""
    config = data_config(arguments or [])
    with collector_paused(freeze=True):
        predictor = load(run)
    scores = predictor.evaluate(config.train, config)
    if as_json:
        print_json(scores)
        return
    for note in scores["notes"]:
        print(render_message(note), file=sys.stderr)
    for name, value in scores.items():
        if isinstance(value, (int, float)):
            interval = scores.get(f"{name}_ci95")
            bounds = f"  [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
            print(
                f"{name:20} {value:.4f}{bounds}"
                if isinstance(value, float)
                else f"{name:20} {value:,}"
            )
