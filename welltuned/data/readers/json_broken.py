"""JSON that breaks somewhere: what can be read of it, and where it breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from welltuned.data.readers.json_nodes import DECODER, JsonText, decoded, skip_space
from welltuned.errors import Faults, Place


def line_records(
    lines: Sequence[tuple[int, str]], name: str, faults: Faults
) -> Iterator[tuple[int, object]]:
    """The record of each line."""
    for number, line in lines:
        try:
            yield number, decoded(line)
        except json.JSONDecodeError as error:
            faults.add_counted(
                "data.bad_json",
                "invalid JSON: {reason}",
                Place(name, number, error.colno),
                "fix or remove this line",
                reason=error.msg,
            )
        except RecursionError:
            faults.add_counted(
                "data.json_too_deep",
                "JSON nested too deeply",
                Place(name, number),
                "fix or remove this line",
            )


def stream_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, object]]:
    """Objects one after another, each of which may go over several lines."""
    line_of = JsonText(text).line_of
    position = skip_space(text, 0)
    while position < len(text):
        try:
            record, end = DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            faults.add(
                "data.bad_json_document",
                "invalid JSON: {reason}",
                Place(name, error.lineno, error.colno),
                "fix the document here",
                reason=error.msg,
            )
            return
        except RecursionError:
            refuse_depth(Place(name, line_of(position)), faults)
            return
        yield line_of(position), record
        position = skip_space(text, end)


def array_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, object]]:
    """The records of a JSON array one by one, each with its line, up to where it breaks."""
    line_of = JsonText(text).line_of
    position = skip_space(text, text.index("[") + 1)
    while position < len(text) and text[position] != "]":
        try:
            record, end = DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            faults.add(
                "data.bad_json_array",
                "invalid JSON: {reason}",
                Place(name, error.lineno, error.colno),
                "fix the array here",
                reason=error.msg,
            )
            return
        except RecursionError:
            faults.add(
                "data.json_array_too_deep",
                "JSON nested too deeply",
                Place(name, line_of(position)),
                "fix the array here",
            )
            return
        yield line_of(position), record
        position = skip_space(text, end)
        if position < len(text) and text[position] == ",":
            position = skip_space(text, position + 1)
        elif position >= len(text) or text[position] != "]":
            faults.add(
                "data.bad_json_array",
                "invalid JSON: {reason}",
                Place(name, line_of(position)),
                "fix the array here",
                reason="expecting ',' or ']'",
            )
            return
    rest = skip_space(text, position + 1)
    if position >= len(text):
        _refuse_end(True, Place(name, line_of(position)), faults)
    elif rest < len(text):
        _refuse_end(False, Place(name, line_of(rest)), faults)


def refuse_depth(place: Place, faults: Faults) -> None:
    """Record that values within values go deeper than can be read."""
    faults.add(
        "data.json_document_too_deep", "JSON nested too deeply", place, "fix the document here"
    )


def _refuse_end(is_open: bool, place: Place, faults: Faults) -> None:
    """The array does not end, or the file goes on after it."""
    if is_open:
        faults.add(
            "data.json_array_open",
            "the JSON array is not closed",
            place,
            "the file may be truncated; close it with ']'",
        )
    else:
        faults.add(
            "data.json_array_trailing",
            "there is more text after the JSON array",
            place,
            "remove what follows the ']'",
        )
