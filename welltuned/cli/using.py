"""Verbs that use a tuned model: `predict`, `chat`, `evaluate`, `export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from welltuned.cli.app import Json, app, print_json
from welltuned.cli.console.answers import pretty
from welltuned.errors import Fault, InputError


@app.command()
def predict(
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
            Fault("predict takes either texts or one data=FILE", None, "call it twice")
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


@app.command()
def chat(run: Annotated[str, typer.Argument(help="A run or model folder.")]) -> None:
    """Talk with a tuned generator; /new begins again, an empty line or /quit ends."""
    from welltuned.artifact.predictor import Predictor

    predictor = Predictor.load(run)
    turns: list[dict[str, str]] = []
    while (line := _ask("> ")) not in ("", "/quit"):
        if line == "/new":
            turns = []
            continue
        turns.append({"role": "user", "content": line})
        answer = predictor.say(turns, _write)
        print(flush=True)
        turns.append({"role": "assistant", "content": answer})


@app.command()
def evaluate(
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


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="to=FOLDER", help="Where to write the plain model."),
    ] = None,
) -> None:
    """Write the tuned model as a plain Hugging Face folder, merged where the method allows."""
    from welltuned.artifact.export import export_run as write

    pairs = dict(argument.partition("=")[::2] for argument in arguments or [])
    if set(pairs) != {"to"} or not pairs["to"]:
        raise InputError(
            Fault(
                "export needs to=FOLDER, and nothing else",
                None,
                "for example: welltuned export runs/mine to=merged",
            )
        )
    print(write(run, pairs["to"]))


def _data_config(arguments: list[str]) -> Any:
    """`data=FILE` and keys of `data:` such as `data.columns.text=review`, as a DataConfig."""
    from welltuned.data.config import DataConfig
    from welltuned.errors import Faults
    from welltuned.schema.document import Document, Part, apply_overrides, validate

    class Request(Part):
        data: DataConfig

    faults = Faults()
    document = Document()
    apply_overrides(document, arguments, Request, faults)
    request = validate(Request, document, faults)
    faults.raise_if_any()
    assert request is not None
    return request.data


def _ask(prompt: str) -> str:
    """A line of standard input, empty at its end; the prompt goes to people, not into pipes."""
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _pair(text: str) -> Any:
    first, tab, second = text.partition("\t")
    return (first, second) if tab else text


def _answers(
    predictor: Any, inputs: Iterable[Any], one_by_one: bool
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each input with its answer; lines of standard input are answered at once, each by itself."""
    from itertools import islice

    waiting = iter(inputs)
    while batch := list(islice(waiting, 1 if one_by_one else 64)):
        yield from zip(batch, predictor.predict(batch), strict=True)
