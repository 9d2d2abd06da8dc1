"""Where a config runs code that is not ours: the keys that are marked so, and what they hold."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import Part


def code_in(part: Part, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Where a config runs code that is not ours, with what stands there."""
    for name in type(part).model_fields:
        runs_code = name in _keys_of_code(type(part))
        yield from _code_in(getattr(part, name), (*path, name), runs_code)


def _code_in(
    value: object, path: tuple[str, ...], runs_code: bool
) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Part):
        yield from code_in(value, path)
    elif isinstance(value, tuple):
        for i, one in enumerate(value):
            yield from _code_in(one, (*path, str(i)), runs_code)
    elif runs_code and (value is True or (isinstance(value, str) and "." in value)):
        yield path, value


@cache
def _keys_of_code(part: type[Part]) -> frozenset[str]:
    fields = part.model_fields.items()
    return frozenset(name for name, one in fields if _is_marked(one.annotation, one.metadata))


def _is_marked(annotation: Any, marks: Sequence[Any] = ()) -> bool:
    marks = [*marks, *getattr(annotation, "__metadata__", ())]
    inner = typing.get_args(annotation)
    return any(isinstance(mark, RunsCode) for mark in marks) or any(map(_is_marked, inner))
