"""The type, default and an example of a config field, in words."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import annotated_types
from pydantic import Field
from pydantic.fields import FieldInfo

from welltuned.schema.document import yaml_value
from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import Part
from welltuned.schema.plugins import OneOf
from welltuned.schema.search_space import Range

REQUIRED, NOT_SET = "required", "not set"
"""In place of a default."""
_UNIONS = (typing.Union, types.UnionType)
_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Any: "anything",
}
_SIGNS: tuple[tuple[type, str, str], ...] = (
    (annotated_types.Ge, "ge", "≥"),
    (annotated_types.Gt, "gt", ">"),
    (annotated_types.Le, "le", "≤"),
    (annotated_types.Lt, "lt", "<"),
)


@dataclass(frozen=True)
class WrittenAs:
    """How people write a value whose Python type does not say it: `20m` for seconds."""

    words: str
    """What it is: `time`."""
    example: str


ImportPath = Annotated[
    str, Field(pattern=r"^\w+(\.\w+)+$"), WrittenAs("an import path", "mine.loop.train"), RunsCode()
]
"""The dotted path of something that can be imported."""


@dataclass(frozen=True)
class GoesWith:
    """A key that is only read beside another one of the same part, where that has this value."""

    key: str
    value: str


def type_text(annotation: object, metadata: Sequence[object] = ()) -> str:
    """What may be written for an annotation: `whole number ≥ 1 or "auto"`."""
    choices = list(dict.fromkeys(_choices(annotation, metadata)))
    if len(choices) < 2:
        return "".join(choices)
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _choices(annotation: Any, metadata: Sequence[Any]) -> Iterator[str]:
    """The alternatives of a union, each in words; the bounds are those of its numbers."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    written = next((mark for mark in _flat(metadata) if isinstance(mark, WrittenAs)), None)
    if annotation is type(None):
        return  # what is not given is none; nobody writes it
    if origin is Annotated:
        yield from _choices(inner[0], [*_flat(inner[1:]), *metadata])
    elif origin in _UNIONS:
        for choice in inner:
            yield from _choices(choice, metadata)
    elif origin is Literal:
        yield from (f'"{word}"' for word in inner)
    elif origin is tuple:
        yield f"list of {type_text(inner[0])}" if inner else "list"
    elif origin is dict:
        yield f"mapping of {type_text(inner[0])} to {type_text(inner[1])}"
    elif isinstance(annotation, type) and issubclass(annotation, Part):
        for part in parts_in(annotation, metadata):
            yield from _part_words(part)
    elif written is not None:
        yield written.words
    else:
        bounds = _bounds(metadata) if annotation in (int, float) else ""
        yield _WORDS.get(annotation, str(annotation)) + bounds


def _part_words(part: type[Part]) -> Iterator[str]:
    if part.is_told_by_type():
        yield f'"{part.model_fields["type"].default}"'
    else:
        yield f"the keys below, or {part.shorthand} alone" if part.shorthand else "the keys below"


def _bounds(metadata: Sequence[Any]) -> str:
    told = [
        f"{sign} {getattr(mark, name):g}"
        for mark in _flat(metadata)
        for kind, name, sign in _SIGNS
        if isinstance(mark, kind)
    ]
    return f" {' and '.join(dict.fromkeys(told))}" if told else ""


def _flat(metadata: Sequence[Any]) -> list[Any]:
    """The marks themselves, those that stand in a `Field(…)` as well."""
    return [
        mark
        for one in metadata
        for mark in (one.metadata if isinstance(one, FieldInfo) else (one,))
    ]


def parts_in(annotation: object, metadata: Sequence[object] = ()) -> list[type[Part]]:
    """The parts that an annotation holds, looking through unions, lists and `Annotated`."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        marks = [mark for mark in _flat(metadata) if isinstance(mark, OneOf)]
        return [part for mark in marks for part in mark.usable()] or [annotation]
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        return parts_in(inner[0], [*inner[1:], *metadata])
    return [part for one in inner for part in parts_in(one, metadata)]


def default_text(field: FieldInfo) -> str:
    """A field's default as it would be written; "required" where there is none,
    "not set" where a value may be left out."""
    if field.is_required():
        return REQUIRED
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, Part):
        return _part_default(default)
    return NOT_SET if default is None else value_text(default)


def _part_default(default: Part) -> str:
    """Its type, or what stands for it alone."""
    word = getattr(default, "type", None) or getattr(default, default.shorthand or "", None)
    return word if isinstance(word, str) else "every key at its default"


def value_text(value: object) -> str:
    """A value as it is written in YAML and on a command line."""
    if isinstance(value, str):
        return value if yaml_value(value) == value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        pairs = (f"{value_text(key)}: {value_text(one)}" for key, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)


def example_value(field: FieldInfo) -> str | None:
    """A value that may be written, other than the default where that can be.

    None for a part that is written by the keys below it alone.
    """
    if field.examples:
        return value_text(field.examples[0])
    default = default_text(field)
    offers = _offers(field.annotation, field.metadata, field.default)
    return next((offer for offer in offers if offer != default), _only(field, default))


def _only(field: FieldInfo, default: str) -> str | None:
    if parts_in(field.annotation, field.metadata):
        return None
    return "…" if default in (REQUIRED, NOT_SET) else default


def _offers(annotation: Any, metadata: Sequence[Any], default: Any) -> Iterator[str]:
    """Values that an annotation allows, the most telling first."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    for mark in _flat(metadata):
        if isinstance(mark, WrittenAs):
            yield mark.example
        elif isinstance(mark, Range):
            yield f"{mark.high:g}"
    if origin is Annotated:
        yield from _offers(inner[0], [*_flat(inner[1:]), *metadata], default)
    elif origin in _UNIONS:
        for choice in inner:
            yield from _offers(choice, metadata, default)
    elif origin is Literal:
        yield from map(str, inner)
    elif annotation is bool:
        yield from ("true", "false")
    elif annotation in (int, float):
        yield _number(annotation, metadata, default)
    else:
        yield from _part_offers(annotation, metadata)


def _part_offers(annotation: Any, metadata: Sequence[Any]) -> Iterator[str]:
    """The types of parts, and what may stand for a part alone."""
    for part in parts_in(annotation, metadata):
        if part.is_told_by_type():
            yield part.model_fields["type"].default
        elif part.shorthand in part.model_fields:
            alone = example_value(part.model_fields[part.shorthand])
            yield from (alone,) if alone else ()


def _number(kind: type, metadata: Sequence[Any], default: Any) -> str:
    """A number near the default, or one just within the bounds."""
    if isinstance(default, (int, float)) and default > 0:
        return f"{default * 2}" if kind is int else f"{default / 2:g}"
    bounds = [getattr(m, "ge", getattr(m, "gt", 0)) for m in _flat(metadata)]
    low = max(bounds, default=0)
    return f"{int(low) + 1}" if kind is int else f"{low + 0.1:g}"
