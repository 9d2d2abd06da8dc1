"""The verb that answers texts: `predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from welltuned.cli.app import Json, app
from welltuned.cli.console.answers import pretty
from welltuned.errors import Fault, InputError


@app.command("predict")
def predict_command(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT …] [data=FILE]",
            help="Texts; without any, lines of standard input. A tab parts a pair.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer texts from the line, a file or standard input, as they come."""
    from welltuned.artifact.predictor import Predictor

    given = texts or []
    files = [text.removeprefix("data=") for text in given if text.startswith("data=")]
    if len(files) > 1 or (files and len(given) > 1):
        raise InputError(
            Fault(
                "cli.predict_texts_or_file",
                "predict takes either texts or one data=FILE",
                None,
                "call it twice",
            )
        )
    predictor = Predictor.load(run)
    if files:
        answers = predictor.answer_file(files[0])
    else:
        lines = (line.rstrip("\n") for line in sys.stdin if line.strip())
        answers = _answers(predictor, map(_pair, given or lines), one_by_one=not given)
    for_people = sys.stdout.isatty() and not as_json
    for text, row in answers:
        print(
            pretty(text, row)
            if for_people
            else json.dumps({"text": text, **row}, ensure_ascii=False),
            flush=True,
        )


def _pair(text: str) -> Any:
    first, tab, second = text.partition("\t")
    return (first, second) if tab else text


def _answers(
    predictor: Any, inputs: Iterable[Any], one_by_one: bool
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each input with its answer; lines of standard input are answered at once, each by itself."""
    waiting = iter(inputs)
    while batch := list(islice(waiting, 1 if one_by_one else 64)):
        yield from zip(batch, predictor.predict(batch), strict=True)
