"""Values of a JSON document with where they stand in it."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_LONG_NUMBER = re.compile(r"\d{4301,}")


class _Decoder(json.JSONDecoder):
    """Python's, of which every error has its place: that of a number of too many digits, too."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        try:
            return super().raw_decode(s, idx)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            found = _LONG_NUMBER.search(s, idx)
            at = found.start() if found else idx
            raise json.JSONDecodeError("a number of too many digits", s, at) from error


DECODER = _Decoder()
_read = json.JSONDecoder().raw_decode


def decoded(line: str) -> Any:
    """The value on a line, as `DECODER.decode` finds it, in two thirds of the time where the line
    has nothing before it and an end of a line after it at most.

    Raises `json.JSONDecodeError`, and `RecursionError` for what is nested too deeply.
    """
    try:
        value, end = _read(line)
    except ValueError:
        return DECODER.decode(line)
    return value if line[end:] in ("", "\n", "\r\n") else DECODER.decode(line)


def skip_space(text: str, position: int) -> int:
    """The next position that holds no white space."""
    found = _SPACE.match(text, position)
    return found.end() if found else position


@dataclass(frozen=True)
class JsonText:
    """A JSON document as it is written."""

    text: str

    def line_of(self, position: int) -> int:
        return bisect.bisect_left(self._newlines, position) + 1

    @cached_property
    def _newlines(self) -> list[int]:
        return [at for at, character in enumerate(self.text) if character == "\n"]


@dataclass(frozen=True)
class Node:
    """A value within a valid document."""

    document: JsonText
    position: int
    value: Any

    @property
    def line(self) -> int:
        return self.document.line_of(self.position)

    def inner(self) -> Iterator[tuple[str, Node]]:
        """The values in an object or an array, with their keys (empty in an array)."""
        text = self.document.text
        position = skip_space(text, self.position + 1)
        while text[position] not in "]}":
            key = ""
            if isinstance(self.value, dict):
                key, position = DECODER.raw_decode(text, position)
                position = skip_space(text, skip_space(text, position) + 1)  # past the colon
            value, end = DECODER.raw_decode(text, position)
            yield key, Node(self.document, position, value)
            position = skip_space(text, end)
            if text[position] == ",":
                position = skip_space(text, position + 1)


def root_of(text: str) -> Node | None:
    """The whole of a document; None where it is not valid JSON, or more than one value."""
    try:
        return Node(JsonText(text), skip_space(text, 0), DECODER.decode(text))
    except (json.JSONDecodeError, RecursionError):
        return None
