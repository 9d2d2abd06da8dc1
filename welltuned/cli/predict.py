"""The verb that answers texts: `predict`."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from welltuned.cli.app import AllowImports, Json, app
from welltuned.cli.console.answers import pretty
from welltuned.cli.data_keys import data_config, is_data_key
from welltuned.deployment.answer_file.rows import answered_row, json_line
from welltuned.errors import Fault, InputError, Stopped
from welltuned.schema.collector import collector_paused
from welltuned.schema.messages import render_message
from welltuned.schema.secrets import masked_command

if TYPE_CHECKING:
    from welltuned.artifact.answers import Row, Tally
    from welltuned.cli.console.answering import AnswerProgress
    from welltuned.data.config import DataConfig

    Answers = Iterator[tuple[object, Row]]


_CHUNK = 1 << 16
"""Bytes of standard input that are read at once, at most."""
_OUT = "out="
_OUT_FILE = re.compile(r"out=.+\.(csv|jsonl|parquet)", re.IGNORECASE)


@app.command("predict")
def predict_command(
    run: Annotated[str, typer.Argument(help="A run, model or exported folder.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT …] [data=FILE …] [out=FILE]",
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
    With data=FILE, out=FILE writes them as .csv, .jsonl or .parquet; one that was stopped goes on.
    """
    asked = _parted(texts or [], pair, jsonl)
    if asked.out is not None:
        _answer_into(asked.out, run, data_config(asked.keys), as_json)
        return
    from welltuned.artifact.answers import Tally
    from welltuned.deployment.open import open_predictor

    with collector_paused(freeze=True):
        predictor, tally = open_predictor(run), Tally()
    take = _json_value if jsonl else _pair if pair else _text
    total: int | None = None
    if asked.keys:
        config = data_config(asked.keys)
        inputs = predictor.read_file(config.train, config)
        tally.notes += map(render_message, inputs.notes)
        answers, total = predictor.rows(inputs), inputs.number
    elif asked.texts:
        answers = predictor.answer_all([[take(text) for text in asked.texts]], "argument")
    else:
        arrived = ([take(line) for line in lines] for lines in _arrived())
        answers = predictor.answer_all(arrived, "stdin")
    shown = sys.stdout.isatty()
    with _progress(total, as_json, beside_rows=shown) as progress:
        _print(answers, tally, progress, for_people=shown and not as_json)
    _end(tally, as_json)


# --- What is asked ---------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What stands on the line: texts, or keys of `data:` and the file for the answers."""

    texts: list[str]
    keys: list[str]
    out: str | None


def _parted(given: list[str], pair: bool, jsonl: bool) -> _Asked:
    """The arguments by what they are. Raises `InputError` where they do not go together.

    `out=` says where answers go beside `data=` alone; without that it is a text.
    """
    keys = [text for text in given if is_data_key(text)]
    outs = [text for text in given if keys and text.startswith(_OUT)]
    texts = [text for text in given if text not in keys and text not in outs]
    if (keys and (texts or pair or jsonl)) or (pair and jsonl) or len(outs) > 1:
        raise InputError(
            Fault(
                "cli.predict_texts_or_file",
                "predict takes texts, with --pair or --jsonl where they need it, or else "
                "data=FILE, keys of data and one out=FILE",
                None,
                "call it twice",
            )
        )
    if any(map(_OUT_FILE.fullmatch, texts)):
        raise InputError(
            Fault(
                "cli.predict_out_without_file",
                "answers go into a file where the texts come from one",
                None,
                "add data=FILE; without it, send standard output into the file: > answers.jsonl",
            )
        )
    return _Asked(texts, keys, outs[0].removeprefix(_OUT) if outs else None)


# --- Into a file -----------------------------------------------------------------


def _answer_into(out: str, run: str, data: DataConfig, as_json: bool) -> None:
    """Answer the rows of a file into another one, or those that have no answer there yet."""
    from welltuned.artifact.answers import Tally
    from welltuned.deployment.answer_file.write import BATCH, AnswerFile
    from welltuned.deployment.open import open_predictor

    file, tally = AnswerFile.of(out, run, data), Tally()
    if file.is_finished:
        _say(f"{file.target} is finished already, and made from just this", tally, as_json)
        print(file.target)
        _end(tally, as_json)
        return
    with collector_paused(freeze=True):
        predictor = open_predictor(run)
    inputs = predictor.read_file(data.train, data)
    tally.notes += map(render_message, inputs.notes)
    with file.owned():
        rest = file.rest(predictor, inputs, tally.add)
        if done := tally.rows:
            _say(f"{file.target} has {done:,} rows already; the others follow", tally, as_json)
        with (
            _telling_how_to_go_on(tally, inputs.number),
            _progress(inputs.number, as_json, done=done) as progress,
        ):

            def hear(row: Row) -> None:
                tally.add(row)
                progress.advance()

            file.write(predictor.rows(rest.inputs, BATCH), rest, hear)
    print(file.target)
    _end(tally, as_json)


@contextmanager
def _telling_how_to_go_on(tally: Tally, total: int) -> Iterator[None]:
    """Where SIGTERM or Ctrl-C ends what is done meanwhile, say how the other rows follow."""
    from welltuned.runs.status import interruptible

    try:
        with interruptible():
            yield
    except Stopped as stop:
        again = masked_command(f"welltuned {shlex.join(sys.argv[1:])}")
        remedy = f"{tally.rows:,} of {total:,} rows are written; the others follow with: {again}"
        raise Stopped(stop.signal_number, remedy) from None


def _say(text: str, tally: Tally, as_json: bool) -> None:
    """A note for people at once, and for programs with the others at the end."""
    if as_json:
        tally.notes.append(text)
    else:
        print(text, file=sys.stderr)


def _progress(
    total: int | None, as_json: bool, beside_rows: bool = False, done: int = 0
) -> AnswerProgress:
    """Nothing is told between rows on a terminal, nor of inputs that come one by one, nor are there
    lines where standard error is JSON."""
    from welltuned.cli.console.answering import AnswerProgress

    waits = total is not None and not beside_rows
    return AnswerProgress(total or 0, done, bar=waits, lines=waits and not as_json)


# --- Standard input --------------------------------------------------------------


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


def _print(answers: Answers, tally: Tally, progress: AnswerProgress, for_people: bool) -> None:
    for text, row in answers:
        tally.add(row)
        shown = pretty(text, row) if for_people else json_line(answered_row(text, row))
        print(shown, flush=True)
        progress.advance()


def _end(tally: Tally, as_json: bool) -> None:
    """Count on standard error what was not answered or cut; unreadable inputs are a failure."""
    told = [*tally.notes, *filter(None, [tally.line])]
    if told:
        print(json_line(tally.as_dict()) if as_json else "\n".join(told), file=sys.stderr)
    if tally.unreadable:
        sys.exit(1)
