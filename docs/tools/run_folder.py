"""The page of what a run's folder holds, `docs/run-folder.md`, and the JSON schemas beside it.

`make schemas` writes them from the types of `runs/results_schema.py` and
`runs/comparison_schema.py`; `tests/docs/test_run_folder.py` holds them equal.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict

from welltuned.runs import comparison_folder, comparison_schema, folder, results_schema

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "run-folder.md"
SCHEMAS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "results.schema.json": (
        "results.json of a run, or of a baseline of a comparison",
        (results_schema.RunResults, comparison_schema.BaselineResults),
    ),
    "comparison.schema.json": (
        "comparison.json and results.json of a comparison",
        (comparison_schema.ComparisonRecord, comparison_schema.ComparisonResults),
    ),
}
HEAD = """\
# What a run leaves

This page is written from the code by `make schemas`: the files from the docstrings of
`welltuned.runs.folder` and `welltuned.runs.comparison_folder`, the fields from the types of
`welltuned.runs.results_schema` and `welltuned.runs.comparison_schema`. The same as JSON schemas:
[`results.schema.json`](schemas/results.schema.json) and
[`comparison.schema.json`](schemas/comparison.schema.json).

Every kind of file has a version of its own, `schema_version`. A file of an older version is read;
one of a newer version is refused with words. A file that does not say its version is of version 1.
Numbers that are not finite are null.
"""
Schema = Mapping[str, Any]


class Untitled(GenerateJsonSchema):
    """Fields have names and documentation; titles made from the names say nothing more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def main() -> None:
    """Write the page and the schemas."""
    PAGE.write_text(page(), encoding="utf-8")
    for name in SCHEMAS:
        text = json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
        (DOCS / "schemas" / name).write_text(text, encoding="utf-8")


def schema(name: str) -> dict[str, Any]:
    """One of the JSON schemas: any one of its kinds of file."""
    title, kinds = SCHEMAS[name]
    inputs: list[tuple[str, Any, Any]] = [
        (kind.__name__, "validation", TypeAdapter(kind)) for kind in kinds
    ]
    of, definitions = TypeAdapter.json_schemas(inputs, title=title, schema_generator=Untitled)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "title": title}
    for kind, definition in definitions["$defs"].items():
        for field, about in _inherited(kind).items():
            definition["properties"][field].setdefault("description", about)
    return {**head, "anyOf": [of[kind.__name__, "validation"] for kind in kinds], **definitions}


def _inherited(name: str) -> dict[str, str]:
    """The documentation of the fields that a type has from others."""
    kind = getattr(results_schema, name, None) or getattr(comparison_schema, name, None)
    found: dict[str, str] = {}
    for base in filter(is_typeddict, getattr(kind, "__orig_bases__", ())):
        own = TypeAdapter(base).json_schema(schema_generator=Untitled).get("properties", {})
        found |= _inherited(base.__name__)
        found |= {name: one["description"] for name, one in own.items() if "description" in one}
    return found


def page() -> str:
    """The page of today."""
    sections, done = [HEAD], set[str]()
    for name, module in zip(SCHEMAS, (folder, comparison_folder), strict=True):
        title, files = inspect.cleandoc(module.__doc__ or "").split("\n\n", 1)
        sections.append(f"## {title.partition(':')[0]}\n\n```\n{files}\n```\n")
        whole = schema(name)
        sections += [_section(*one, whole["$defs"]) for one in _in_order(whole, done)]
    return "\n".join(sections)


def _in_order(whole: Schema, done: set[str]) -> Iterator[tuple[str, Schema]]:
    """Every kind of object that is not done yet, each after the first that names it."""
    waiting = [_referred(kind) for kind in whole["anyOf"]]
    while waiting:
        name = waiting.pop(0)
        if name in done:
            continue
        done.add(name)
        definition = whole["$defs"][name]
        yield name, definition
        waiting = [*map(_referred, _references(definition)), *waiting]


def _references(part: Any) -> Iterator[Schema]:
    if isinstance(part, dict):
        if "$ref" in part and "Json" not in part["$ref"]:
            yield part
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _referred(part: Schema) -> str:
    return str(part["$ref"]).rpartition("/")[2]


def _section(name: str, definition: Schema, all_kinds: Schema) -> str:
    """One kind of object as a table of its fields."""
    about = _meaning(definition)
    if "properties" not in definition:
        return f"### {name}\n\n{about}\n"
    rows = [
        f"| `{field}` | {_kind(part)} | {_when(field, definition)}{_about(part, all_kinds)} |"
        for field, part in definition["properties"].items()
    ]
    table = ["| field | type | meaning |", "|---|---|---|", *rows]
    return "\n".join([f"### {name}", "", about, "", *table, ""])


def _when(field: str, definition: Schema) -> str:
    return "" if field in definition.get("required", ()) else "*Not always there.* "


def _about(part: Schema, all_kinds: Schema) -> str:
    """A field's own documentation; where it would repeat that of its type, it was left out."""
    return _meaning(part) or _meaning(all_kinds.get(_referred(part), {}) if "$ref" in part else {})


def _meaning(part: Schema) -> str:
    return " ".join(str(part.get("description", "")).split()).replace("|", "\\|")


_WORDS = {"integer": "whole number", "string": "text", "boolean": "yes or no", "null": "null"}


def _kind(part: Schema) -> str:
    """A type in words, with links to objects that have a section."""
    if "$ref" in part:
        name = _referred(part)
        return "any" if "Json" in name else f"[{name}](#{name.lower()})"
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_kind(one) for one in part["anyOf"]))
    if "enum" in part or "const" in part:
        return ", ".join(f"`{word}`" for word in part.get("enum", [part.get("const")]))
    kind = str(part.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(part.get('items', {}))}" if "items" in part else "pair of numbers"
    if kind == "object":
        values = part.get("additionalProperties")
        return f"{_kind(values)}, by name" if isinstance(values, dict) else "object"
    return _WORDS.get(kind, kind)


if __name__ == "__main__":
    main()
