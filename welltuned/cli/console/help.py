"""Config keys and parts explained, as plain lines for a terminal."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

import yaml

from welltuned.errors import Faults
from welltuned.schema.document import Document, apply_overrides
from welltuned.schema.part import Part
from welltuned.schema.reference import Key, Reference, Section, part_doc, type_of
from welltuned.training.preparation.defaults import default_rows

_WIDTH = 96
_FACT, _NAME = 11, 26
"""How wide the first column is: beside facts of one key, and beside names of many."""
_INDENT = " " * _FACT


def explain(reference: Reference, wanted: str, found: Sequence[Key]) -> Iterator[str]:
    """Whatever a person has asked for: parts by their type, and keys."""
    for part in reference.sections:
        if part.variant == wanted:
            yield from _part_lines(part)
    named = [key for key in found if key.variant != wanted]
    for i, key in enumerate(named):
        yield from [""] if i else []
        same = sum(other.key == key.key for other in named) > 1
        where = key.variant or (key.owner.__name__ if same else None)
        yield key.key + (f"  (of {where})" if where else "")
        yield from _key_lines(reference, key)


def overview(reference: Reference) -> Iterator[str]:
    """All keys at the top of a config, and the types that parts may have."""
    yield "Keys of a config. `welltuned help KEY` explains one, `welltuned help lora` a part."
    for part in reference.sections:
        if not part.paths:
            yield ""
            yield from _wrapped(part.part.__name__, _first_line(part.doc), _NAME)
            for key in part.keys:
                yield from _wrapped(f"  {key.key}", key.doc, _NAME)
                yield from _wrapped("", ", ".join(_types(key)), _NAME)


def key_facts(key: Key) -> dict[str, object]:
    """What is told of a key, as plain data."""
    return {
        "key": key.key,
        "part": key.variant,
        "meaning": key.doc,
        "accepts": key.accepts,
        "default": key.default,
        "source": key.source,
        "search": key.search or None,
        "example": list(key.example),
    }


def _part_lines(section: Section) -> Iterator[str]:
    yield f"{section.paths[0]}: {section.variant}"
    for paragraph in section.doc.split("\n\n"):
        yield from ["", *textwrap.wrap(" ".join(paragraph.split()), _WIDTH)]
    yield ""
    yield from _named_keys(section)


def _key_lines(reference: Reference, key: Key) -> Iterator[str]:
    yield from textwrap.wrap(key.doc, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield from _wrapped("  accepts", key.accepts)
    yield from _wrapped("  default", f"{key.default}, written in {key.source}")
    for mark in key.goes_with:
        yield from _wrapped("  beside", f"{mark.key}: {mark.value}")
    if key.search:
        yield from _wrapped("  a sweep", f"tries {key.search}")
    yield f"  line     {shlex.join(key.example)}"
    yield from (
        textwrap.indent(_as_yaml(reference, key), _INDENT)
        .replace(_INDENT, "  file     ", 1)
        .splitlines()
    )
    yield from _default_lines(key)
    for part in key.parts:
        if (kind := type_of(part)) is not None:
            yield from _wrapped(f"  {kind}", _first_line(part_doc(part)), _NAME)
        else:
            yield from _below(reference, part)


def _below(reference: Reference, part: type[Part]) -> Iterator[str]:
    """The keys of a section, each with its meaning and default."""
    for section in reference.sections:
        if section.part is part:
            yield ""
            yield from _named_keys(section)


def _named_keys(section: Section) -> Iterator[str]:
    for key in section.keys:
        if key.name != "type":
            yield from _wrapped(f"  {key.path[-1]}", f"{key.doc} [{key.default}]", _NAME)


def _default_lines(key: Key) -> Iterator[str]:
    """What `auto` becomes, and how that is known."""
    rows = default_rows(key.owner, key.name)
    sources = list(dict.fromkeys(row.source for row in rows))
    if rows:
        yield "  auto     the first of these that fits (training/defaults.yaml):"
    for row in rows:
        note = sources.index(row.source) + 1
        yield f"{_INDENT}{row.strategy:8} {row.value:<7g} {row.fits} [{note}]"
    for note, source in enumerate(sources, 1):
        yield f"{_INDENT}[{note}] {source}"


def _as_yaml(reference: Reference, key: Key) -> str:
    """The example as lines of a config file."""
    document = Document()
    apply_overrides(document, key.example, _schema_of(reference, key), Faults())
    return yaml.safe_dump(document.values, sort_keys=False, allow_unicode=True).rstrip()


def _schema_of(reference: Reference, key: Key) -> type[Part]:
    return next(schema for schema in reference.schemas if key.path[0] in schema.model_fields)


def _types(key: Key) -> list[str]:
    return [kind for part in key.parts if (kind := type_of(part)) is not None]


def _first_line(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _wrapped(name: str, text: str, wide: int = _FACT) -> list[str]:
    """A name and what it means beside it; a long name stands on a line of its own."""
    if len(name) >= wide:
        return [name, *_wrapped("", text, wide)]
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{name:{wide}}", subsequent_indent=" " * wide
    )
