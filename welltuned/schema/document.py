"""Config documents: strict frozen parts, read with line and column of every key.

A config is a tree of `Part`s. This module knows how such a tree is written
(YAML, then `key=value` overrides) and turns everything pydantic objects to
into a `Fault` with file, line, column and the nearest right name. It does not
know what the parts mean.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from welltuned.errors import Fault, Faults, Place
from welltuned.schema.plugins import OneOf

KeyPath = tuple[str, ...]


class Part(BaseModel):
    """A piece of a config: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    shorthand: ClassVar[str | None] = None
    """The key that a bare value stands for: `strategy: lora` means `strategy: {type: lora}`."""


PartT = TypeVar("PartT", bound=Part)


def conflict(code: str, what: str, remedy: str, /, **values: object) -> PydanticCustomError:
    """The error for a validator to raise when keys contradict each other.

    The arguments are those of `Fault`; the place is found where the config is read.
    """
    fault = Fault(code, what, None, remedy, **values)
    return PydanticCustomError("conflict", "{what}", {"what": fault.what, "fault": fault})


# --- Reading -----------------------------------------------------------------


@dataclass
class Document:
    """A config as written: plain values, and where each key stands."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    source: str = "command line"

    def place(self, path: Sequence[str]) -> Place:
        """The place of the key, of the nearest enclosing key written, or of one below it."""
        for length in range(len(path), 0, -1):
            if (place := self.places.get(tuple(path[:length]))) is not None:
                return place
        below = (place for key, place in self.places.items() if key[: len(path)] == tuple(path))
        return next(below, Place(self.source)) if path else Place(self.source)


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of version 1.2: `no` and `on` are words, `1e-3` is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:(?:\d[\d_]*\.[\d_]*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.(?:inf|nan))$"
    ),
    list("-+0123456789."),
)


def read_document(path: Path, faults: Faults) -> Document:
    """Read a YAML file; what cannot be read is recorded as faults with positions."""
    document = Document(source=str(path))
    text = _read_text(path, faults)
    if text is not None:
        _parse(text, path, document, faults)
    return document


def _read_text(path: Path, faults: Faults) -> str | None:
    """The file's text; None where it cannot be read, with the fault recorded."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        faults.add("config.file_missing", "no such config file", Place(str(path)), "check the path")
        return None
    except UnicodeDecodeError as error:
        faults.add(
            "config.not_utf8",
            "not valid UTF-8 at byte {byte}",
            Place(str(path)),
            "save the file as UTF-8",
            byte=error.start,
        )
        return None
    except OSError as error:
        faults.add(
            "config.unreadable",
            "cannot read the config file: {reason}",
            Place(str(path)),
            "check the path and its permissions",
            reason=error.strerror,
        )
        return None


def _parse(text: str, path: Path, document: Document, faults: Faults) -> None:
    """Put the values of a YAML text and where they stand into the document."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            faults.add(
                "config.empty",
                "the config file is empty",
                Place(str(path)),
                "write at least `model:` and `data:`",
            )
        elif not isinstance(node, yaml.MappingNode):
            faults.add(
                "config.not_a_mapping",
                "a config file is a mapping, one `key: value` per line",
                Place(str(path), 1, 1),
                "see examples/",
            )
        else:
            document.values = _build(loader, node, (), document, faults)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))
        faults.add(
            "config.bad_yaml",
            "invalid YAML: {reason}",
            place,
            "check indentation, colons and quotes",
            reason=error.problem or error.context,
        )
    except yaml.YAMLError as error:
        faults.add(
            "config.bad_character",
            "invalid YAML: {reason}",
            Place(str(path)),
            "remove what is not plain text",
            reason=error,
        )
    except (ValueError, RecursionError) as error:  # 2024-13-45 as a date; a list that holds itself
        faults.add(
            "config.bad_scalar",
            "invalid YAML: {reason}",
            Place(str(path)),
            "put quotes around it",
            reason=error,
        )


def peek(file: str | None, overrides: Iterable[str], key: str) -> Any:
    """The value of a top-level key as written; None when there is none or nothing can be read."""
    faults = Faults()
    document = read_document(Path(file), faults) if file is not None else Document()
    apply_overrides(document, overrides, Part, faults)
    return document.values.get(key)


def _build(
    loader: _Loader, node: yaml.Node, path: KeyPath, document: Document, faults: Faults
) -> Any:
    """Turn a node into plain values, noting the place of each key."""
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        loader.flatten_mapping(node)
        values: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            place = Place(
                document.source, key_node.start_mark.line + 1, key_node.start_mark.column + 1
            )
            if not isinstance(key_node, yaml.ScalarNode):
                faults.add(
                    "config.key_not_a_word",
                    "a key must be a plain word",
                    place,
                    "write `key: value`",
                )
                continue
            key = loader.construct_object(key_node, deep=True)
            if key in values:
                faults.add(
                    "config.key_repeated",
                    "duplicate key '{key}'",
                    place,
                    "keep one of them",
                    key=key,
                )
            key_path = (*path, str(key))
            document.places[key_path] = place
            values[key] = _build(loader, value_node, key_path, document, faults)
        return values
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        items = []
        for i, item in enumerate(node.value):
            mark, item_path = item.start_mark, (*path, str(i))
            document.places[item_path] = Place(document.source, mark.line + 1, mark.column + 1)
            items.append(_build(loader, item, item_path, document, faults))
        return items
    return loader.construct_object(node, deep=True)


def apply_overrides(
    document: Document, overrides: Iterable[str], schema: type[Part], faults: Faults
) -> None:
    """Write `a.b=value` arguments into the document; later ones win."""
    for override in overrides:
        place = Place(f"argument '{override}'")
        key, equals, text = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            faults.add(
                "config.bad_override",
                "an override is written key=value",
                place,
                "for example training.learning_rate=2e-5",
            )
            continue
        put(document.values, path, yaml_value(text), schema)
        for written in [known for known in document.places if known[: len(path)] == path]:
            del document.places[written]
        document.places[path] = place


def yaml_value(text: str) -> Any:
    """What a word on a command line stands for; itself where it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError):
        return text


def put(values: dict[str, Any], path: KeyPath, value: Any, schema: type[Part]) -> None:
    """Write one key into a config's plain values."""
    level = values
    part: type[Part] | None = schema
    for key in path[:-1]:
        part = next(iter(_parts_of(part, key)), None) if part else None
        inner = level.get(key)
        if not isinstance(inner, dict):
            # `strategy: lora` and then `strategy.r=8`: spell the short form out first.
            inner = {part.shorthand: inner} if part and part.shorthand and inner is not None else {}
            level[key] = inner
        level = inner
    level[path[-1]] = value


# --- Validating --------------------------------------------------------------


def validate(schema: type[PartT], document: Document, faults: Faults) -> PartT | None:
    """Build the config, or record everything that is wrong with it and return None."""
    try:
        return schema.model_validate(expand_shorthand(schema, document.values))
    except ValidationError as error:
        for details in _by_value(schema, error.errors()):
            explained = [_explain(schema, document, detail) for detail in details]
            first, remedy = explained[0], ", or ".join(fault.remedy for fault in explained)
            faults.extend(
                [Fault.verbatim(first.code, first.what, first.place, remedy, first.values)]
            )
        return None


def expand_shorthand(schema: type[Part], values: Mapping[str, object]) -> dict[str, Any]:
    """Spell out bare values of parts that have a short form."""
    expanded = dict(values)
    for key, value in values.items():
        part = next(iter(_parts_of(schema, str(key))), None)
        if part is not None and part.shorthand and isinstance(value, str):
            expanded[key] = {part.shorthand: value}
    return expanded


def _parts_of(schema: type[Part], key: str) -> list[type[Part]]:
    """The parts that may stand under a key, looking through unions and `Annotated`."""
    if key not in schema.model_fields:
        return []
    field = schema.model_fields[key]
    found: list[type[Part]] = []
    waiting = [field.annotation, *field.metadata]
    if any(isinstance(one, OneOf) for one in field.metadata):
        waiting = list(field.metadata)  # and not the base that they have in common
    while waiting:
        annotation = waiting.pop(0)
        if isinstance(annotation, OneOf):
            found.extend(annotation.imported)
        elif isinstance(annotation, type) and issubclass(annotation, Part):
            found.append(annotation)
        else:
            arguments = typing.get_args(annotation)
            chosen = [one for one in arguments if isinstance(one, OneOf)]
            waiting.extend(chosen or arguments)
    return found


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
        choices = _parts_of(owner, str(item)) if owner else []
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
        inner = _parts_of(choices[0], str(item))
        if not inner and typing.get_origin(fields[str(item)].annotation) in _UNIONS:
            return depth + 1 if len(branches) > 1 else 0
        choices = inner
    return 0


_UNIONS = (typing.Union, types.UnionType)


def nearest(word: str, known: Sequence[str]) -> str:
    """The remedy for a word that is not known: the one that was meant, and all there are."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    choices = ", ".join(known)
    return (
        f"did you mean '{close[0]}'? (choices: {choices})" if close else f"choose one of: {choices}"
    )
