"""A config as commented YAML: what is said of a key stands beside it, or above where it is long."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from welltuned.errors import Fault, InputError, Place
from welltuned.schema.document import KeyPath, yaml_value
from welltuned.schema.part import Part, parts_under

_WIDTH = 100
_BESIDE = 40
"""Where comments begin that stand beside their key."""


@dataclass(frozen=True)
class Entry:
    """One key of a config, its value, and what is said of it."""

    path: KeyPath
    value: object
    comment: str = ""


def commented_yaml(
    entries: Iterable[Entry],
    schema: type[Part],
    head: Sequence[str] = (),
    remarks: Mapping[str, Sequence[str]] | None = None,
    tail: Sequence[str] = (),
) -> str:
    """A config file: comments, the keys in the order of the schema, more comments.

    `remarks` are lines that stand above the key of their name, which is dotted.
    """
    tree: dict[str, Any] = {}
    for entry in entries:
        level = tree
        for key in entry.path[:-1]:
            level = level.setdefault(key, {})
        level[entry.path[-1]] = entry
    rank = {name: number for number, name in enumerate(schema.model_fields)}
    tree = dict(sorted(tree.items(), key=lambda item: rank.get(item[0], len(rank))))
    body = [line for lines in _lines(tree, schema, (), remarks or {}) for line in lines]
    parts = (_comments(head), body, ["", *_comments(tail)] if tail else [])
    return "\n".join(line for part in parts for line in part) + "\n"


def require_new(path: Path) -> None:
    """Raise `InputError` where a file that is to be written is there already."""
    if path.exists():
        raise InputError(_exists(path))


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet. Raises `InputError` where there is one already."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(_exists(path)) from error


def _exists(path: Path) -> Fault:
    return Fault(
        "draft.file_exists",
        "the file exists already",
        Place(str(path)),
        "choose another with out=FILE; nothing is ever overwritten",
    )


def flow_text(value: object) -> str:
    """A value on one line, as it may stand in a block or within brackets."""
    if isinstance(value, Mapping):
        pairs = (f"{flow_text(key)}: {flow_text(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(flow_text, value))}]"
    written = str(yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**6))
    plain = written.strip()[1:-1]
    if isinstance(value, str) and ("\n" in value or yaml_value(plain) != value):
        return json.dumps(value, ensure_ascii=False)  # what YAML 1.2 would take for a number, say
    return plain


def _lines(
    tree: Mapping[str, Any], part: type[Part] | None, above: KeyPath,
    remarks: Mapping[str, Sequence[str]],
) -> Iterator[list[str]]:  # fmt: skip
    """The lines of each key and of those below it."""
    for key, inner in tree.items():
        path = (*above, key)
        indent = "  " * len(above)
        said = _comments(remarks.get(".".join(path), ()), indent)
        below = next(iter(parts_under(part, key)), None) if part else None
        entry = inner if isinstance(inner, Entry) else _alone(inner, below)
        if entry is not None:
            yield [*said, *_line(f"{indent}{key}: {flow_text(entry.value)}", entry.comment, indent)]
        else:
            yield [*said, f"{indent}{key}:"]
            yield from _lines(inner, below, path, remarks)


def _alone(tree: Mapping[str, Any], part: type[Part] | None) -> Entry | None:
    """The value that a part's short form says, where nothing else is said of the part."""
    short = part.shorthand if part else None
    only = tree.get(short) if short is not None and len(tree) == 1 else None
    return only if isinstance(only, Entry) and isinstance(only.value, str) else None


def _line(text: str, comment: str, indent: str) -> list[str]:
    if not comment:
        return [text]
    line = f"{text:<{_BESIDE}}  # {comment}"
    return [line] if len(line) <= _WIDTH else [*_comments([comment], indent), text]


def _comments(lines: Sequence[str], indent: str = "") -> list[str]:
    """Comments, each wrapped to the width of a file; an empty line stays one."""
    mark = f"{indent}# "
    return [
        wrapped
        for line in lines
        for wrapped in (
            textwrap.wrap(
                line, _WIDTH, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False
            )
            or [mark.rstrip()]
        )
    ]
