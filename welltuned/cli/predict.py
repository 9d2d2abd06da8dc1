"""The verb that answers texts: `predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from welltuned import load
from welltuned.cli.app import AllowImports, Json, app
from welltuned.cli.console.answers import pretty
from welltuned.cli.data_keys import data_config, is_data_key
from welltuned.errors import Fault, InputError
from welltuned.schema.imports import collector_paused
from welltuned.schema.messages import render_message

if TYPE_CHECKING:
    from welltuned.artifact.answers import Row, Tally

    Answers = Iterator[tuple[object, Row]]


_CHUNK = 1 << 16
"""Bytes of standard input that are read at once, at most."""


@app.command("predict")
def predict_command(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT …] [data=FILE …]",
            help="Texts, or a file and keys of `data:`; without any, lines of standard input.",
        ),
    ] = None,
    pair: Annotated[
        bool, typer.Option("--pair", help="The first tab of a text parts two texts.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Texts are JSON: objects by column names, or strings.")
    ] = False,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Answer texts from the line, a file or standard input, as they come: one row each, in order.

    Each row has the id of its input, or where it stands. What is empty or cannot be read has the
    prediction null with the reason; standard error counts these, and what was cut, at the end.
    """
    from welltuned.artifact.answers import Tally

    given = texts or []
    keys = [text for text in given if is_data_key(text)]
    if (keys and len(keys) < len(given)) or (pair and jsonl) or (keys and (pair or jsonl)):
        raise InputError(
            Fault(
                "cli.predict_texts_or_file",
                "predict takes texts, with --pair or --jsonl where they need it, or else data=FILE "
                "and keys of data",
                None,
                "call it twice",
            )
        )
    with collector_paused():
        predictor, tally = load(run), Tally()
    take = _json_value if jsonl else _pair if pair else _text
    if keys:
        config = data_config(keys)
        inputs = predictor.read_file(config.train, config)
        tally.notes += map(render_message, inputs.notes)
        answers = predictor.rows(inputs)
    elif given:
        answers = predictor.answer_all([[take(text) for text in given]], "argument")
    else:
        arrived = ([take(line) for line in lines] for lines in _arrived())
        answers = predictor.answer_all(arrived, "stdin")
    _print(answers, tally, for_people=sys.stdout.isatty() and not as_json)
    _end(tally, as_json)


def _arrived() -> Iterator[list[str | Fault]]:
    """The lines of standard input, as many as have come: one typed, or the next of a file."""
    rest, encoding = b"", "utf-8-sig"  # a mark of byte order is one at the beginning alone
    for chunk in _chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield [_decoded(lines[0], encoding), *map(_decoded, lines[1:])]
            encoding = "utf-8"
    if rest:
        yield [_decoded(rest, encoding)]


def _chunks() -> Iterator[bytes]:
    """What can be read of standard input without waiting for more."""
    buffer: Any = getattr(sys.stdin, "buffer", None)
    if buffer is None:  # a text stream that stands in for it
        yield sys.stdin.read().encode("utf-8", "surrogatepass")
        return
    while chunk := buffer.read1(_CHUNK):
        yield chunk


def _decoded(line: bytes, encoding: str = "utf-8") -> str | Fault:
    """A line without its end; a fault where it is no UTF-8."""
    try:
        return line.decode(encoding).removesuffix("\r")
    except UnicodeDecodeError as error:
        return Fault(
            "predict.input_not_utf8",
            "the line is no UTF-8: {reason}",
            None,
            "convert it, for example with iconv -t UTF-8",
            reason=str(error),
        )


def _text(text: str | Fault) -> str | Fault:
    return text


def _pair(text: str | Fault) -> object:
    if isinstance(text, Fault):
        return text
    first, tab, second = text.partition("\t")
    return (first, second) if tab else text


def _json_value(text: str | Fault) -> object:
    """What a line of JSON says; a fault where it is none."""
    if isinstance(text, Fault):
        return text
    try:
        return json.loads(text) if text.strip() else ""
    except (ValueError, RecursionError) as error:
        return Fault(
            "predict.input_not_json",
            "the line is no JSON: {reason}",
            None,
            'write an object such as {{"text": "…"}}, or leave out --jsonl',
            reason=str(error),
        )


def _print(answers: Answers, tally: Tally, for_people: bool) -> None:
    for text, row in answers:
        tally.add(row)
        shown = (
            pretty(text, row) if for_people else _as_line({"id": row["id"], "text": text, **row})
        )
        print(shown, flush=True)


def _as_line(row: dict[str, Any]) -> str:
    """As JSON; letters that no encoding knows are escaped."""
    line = json.dumps(row, ensure_ascii=False, default=str)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return line


def _end(tally: Tally, as_json: bool) -> None:
    """Count on standard error what was not answered or cut; unreadable inputs are a failure."""
    told = [*tally.notes, *filter(None, [tally.line])]
    if told:
        print(_as_line(tally.as_dict()) if as_json else "\n".join(told), file=sys.stderr)
    if tally.unreadable:
        sys.exit(1)
