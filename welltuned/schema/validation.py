"""Validating a config document: everything that pydantic objects to becomes a `Fault`.

Each has the file, line and column of its key and, where a word is not known, the nearest one.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from welltuned.errors import Fault, Faults
from welltuned.schema.code_in_config import code_in
from welltuned.schema.document import Document, apply_overrides
from welltuned.schema.import_path import imports_allowed, unasked_code
from welltuned.schema.part import Part, PartT, parts_under

_UNIONS = (typing.Union, types.UnionType)


def validate(schema: type[PartT], document: Document, faults: Faults) -> PartT | None:
    """Build the config, or record everything that is wrong with it and return None."""
    try:
        config = schema.model_validate(expand_shorthand(schema, document.values))
    except ValidationError as error:
        for details in _by_value(schema, error.errors()):
            explained = [_explain(schema, document, detail) for detail in details]
            first, remedy = explained[0], ", or ".join(fault.remedy for fault in explained)
            faults.extend(
                [Fault.verbatim(first.code, first.what, first.place, remedy, first.values)]
            )
        return None
    unasked = [] if imports_allowed() else list(_unasked(config, document))
    faults.extend(unasked)
    return None if unasked else config


def _unasked(config: Part, document: Document) -> Iterator[Fault]:
    """What runs code and stands in a file; what a person gives on a line, or in Python, may."""
    for path, value in code_in(config):
        place = document.place(path)
        if place.line is not None:
            yield unasked_code(".".join(path), value).at(place)


def expand_shorthand(schema: type[Part], values: Mapping[str, object]) -> dict[str, object]:
    """Spell out bare values of parts that have a short form."""
    expanded = dict(values)
    for key, value in values.items():
        part = next(iter(parts_under(schema, str(key))), None)
        if part is not None and part.shorthand and isinstance(value, str):
            expanded[key] = {part.shorthand: value}
    return expanded


# --- What pydantic objects to, as faults ------------------------------------


def _by_value(schema: type[Part], details: Sequence[Any]) -> list[list[Any]]:
    """Pydantic's errors by the value they are about.

    It tells one for each kind a value could be; those that lie deepest say most.
    """
    values: dict[tuple[str | int, ...], list[Any]] = {}
    for detail in details:
        where = detail["loc"]
        cut = _union_depth(schema, where)
        values.setdefault(where[:cut] if cut else where, []).append(detail)
    return [
        [detail for detail in found if len(detail["loc"]) == max(len(d["loc"]) for d in found)]
        for found in values.values()
    ]


def _explain(schema: type[Part], document: Document, detail: Any) -> Fault:
    """One of pydantic's errors as a fault."""
    owner, path = _locate(schema, detail["loc"])
    place, key = document.place(path), ".".join(path)
    kind, context = detail["type"], detail.get("ctx", {})
    given = f"{detail['input']!r}"[:80]
    if kind == "extra_forbidden":
        fields = owner.model_fields.items() if owner else ()
        known = [field.alias or name for name, field in fields]
        hint = nearest(path[-1], known)
        return Fault(
            "config.key_unknown", "unknown key '{key}'", place, "{hint}", key=key, hint=hint
        )
    if kind == "missing":
        return Fault("config.key_missing", "missing key '{key}'", place, "add `{key}: …`", key=key)
    if kind == "union_tag_invalid":
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return Fault(
            "config.type_unknown",
            "unknown type '{given}' in '{key}'",
            document.place((*path, "type")),
            "{hint}",
            key=key,
            given=context["tag"],
            hint=nearest(context["tag"], tags),
        )
    if kind == "union_tag_not_found":
        return Fault(
            "config.type_missing",
            "'{key}' needs a type",
            place,
            "write `{key}: {{type: …}}`",
            key=key,
        )
    if kind == "literal_error":
        words = [word.strip(" '") for word in context["expected"].replace(" or ", ", ").split(",")]
        hint = nearest(str(detail["input"]), words)
        return Fault(
            "config.choice_unknown",
            "'{key}' is {given}, which is not one of its choices",
            place,
            "{hint}",
            key=key,
            given=given,
            hint=hint,
        )
    if kind == "conflict":
        return context["fault"].at(place)
    reason = detail["msg"][0].lower() + detail["msg"][1:]
    return Fault(
        "config.value_invalid",
        "'{key}' is {given}",
        place,
        "{reason}",
        key=key,
        given=given,
        reason=reason,
    )


# --- Where it stands ------------------------------------------------------------


def _locate(
    schema: type[Part], location: Sequence[str | int]
) -> tuple[type[Part] | None, list[str]]:
    """The part an error lies in, and its key path without pydantic's union tags."""
    cut = _union_depth(schema, location)
    if cut:
        location = (*location[:cut], *location[cut + 1 :])
    owner: type[Part] | None = schema
    choices: list[type[Part]] = []
    path: list[str] = []
    for item in location:
        tagged = [
            part
            for part in choices
            if getattr(part.model_fields.get("type"), "default", None) == item
        ]
        if tagged:
            owner, choices = tagged[0], []
            continue
        if isinstance(item, int):  # one of a list: what it may be is as before
            path.append(str(item))
            continue
        if choices:
            owner = choices[0]
        path.append(str(item))
        choices = parts_under(owner, str(item)) if owner else []
    return owner, path


def _union_depth(schema: type[Part], location: Sequence[str | int]) -> int:
    """Where a location names the branch of a union of plain values; 0 when it does not."""
    choices = [schema]
    for depth, item in enumerate(location[:-1]):
        tagged = [
            part
            for part in choices
            if getattr(part.model_fields.get("type"), "default", None) == item
        ]
        if tagged:
            choices = tagged
            continue
        fields = choices[0].model_fields if choices else {}
        if str(item) not in fields:
            return 0
        branches = [
            branch
            for branch in typing.get_args(fields[str(item)].annotation)
            if branch is not type(None)
        ]
        inner = parts_under(choices[0], str(item))
        if not inner and typing.get_origin(fields[str(item)].annotation) in _UNIONS:
            return depth + 1 if len(branches) > 1 else 0
        choices = inner
    return 0


def validated(schema: type[PartT], document: Document, faults: Faults | None = None) -> PartT:
    """What a document says. Raises `InputError` with all faults, those found before included."""
    faults = Faults() if faults is None else faults
    part = validate(schema, document, faults)
    faults.raise_if_any()
    assert part is not None
    return part


def read_settings(schema: type[PartT], arguments: Iterable[str]) -> PartT:
    """What `key=value` arguments say. Raises `InputError` with all faults found."""
    faults, document = Faults(), Document()
    apply_overrides(document, arguments, schema, faults)
    return validated(schema, document, faults)


def nearest(word: str, known: Sequence[str]) -> str:
    """The remedy for a word that is not known: the one that was meant, and all there are."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    choices = ", ".join(known)
    return (
        f"did you mean '{close[0]}'? (choices: {choices})" if close else f"choose one of: {choices}"
    )
