"""The verb that scores a tuned model on another file: `evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import Json, app, print_json

if TYPE_CHECKING:
    from welltuned.data.config import DataConfig


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
) -> None:
    """Score a tuned model on another labelled file."""
    from welltuned.artifact.predictor import Predictor

    config = _data_config(arguments or [])
    scores = Predictor.load(run).evaluate(config.train, config)
    if as_json:
        print_json(scores)
        return
    for name, value in scores.items():
        if isinstance(value, (int, float)):
            interval = scores.get(f"{name}_ci95")
            bounds = f"  [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
            print(
                f"{name:20} {value:.4f}{bounds}"
                if isinstance(value, float)
                else f"{name:20} {value:,}"
            )


def _data_config(arguments: list[str]) -> DataConfig:
    """`data=FILE` and keys of `data:` such as `data.columns.text=review`, as a DataConfig."""
    from welltuned.data import config as data_config
    from welltuned.errors import Faults
    from welltuned.schema.document import Document, apply_overrides
    from welltuned.schema.part import Part
    from welltuned.schema.validation import validate

    class Request(Part):
        data: data_config.DataConfig

    faults = Faults()
    document = Document()
    apply_overrides(document, arguments, Request, faults)
    request = validate(Request, document, faults)
    faults.raise_if_any()
    assert request is not None
    return request.data
