"""Config documents: YAML and `key=value` overrides, read with line and column of every key.

They are plain values here. What they mean is said by the parts that they are validated against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from welltuned.errors import Fault, Faults, Place
from welltuned.schema.part import Part, parts_under

KeyPath = tuple[str, ...]


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


class _BadScalar(yaml.MarkedYAMLError):
    """A scalar is not what its form or its tag says: 2024-13-45 as a date, `!!int x`."""


class _TooLarge(yaml.MarkedYAMLError):
    """Aliases stand for too many values, or for themselves."""


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of version 1.2: `no` and `on` are words, `1e-3` is a number."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # raises where an escape is half a character
            return value
        except (ValueError, LookupError, AttributeError) as error:  # all that is let through
            kind = node.tag.rpartition(":")[2]
            told = str(error) if isinstance(error, ValueError) else f"{node.value!r} is no {kind}"
            raise _BadScalar(problem=told, problem_mark=node.start_mark) from error

    def get_single_node(self) -> yaml.Node | None:
        root = super().get_single_node()
        if root is not None and _count_values(root, {}) > _MOST_VALUES:
            raise _TooLarge(problem_mark=root.start_mark)
        return root


_MOST_VALUES = 100_000
"""That a config may hold with its aliases written out; nine lines of aliases can be billions."""


def _count_values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds with its aliases written out: too many where it holds itself."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        if isinstance(node, yaml.MappingNode):
            inner = [part for pair in inner for part in pair]
        known[id(node)] = 1 + sum(_count_values(part, known) for part in inner)
    return known[id(node)]


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


def is_config_file(name: str) -> bool:
    """Whether a file's name is that of a config, and not of data."""
    return Path(name).suffix in (".yaml", ".yml")


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
    except (yaml.YAMLError, RecursionError) as error:
        faults.extend([_fault_of(error, path)])


def _fault_of(error: yaml.YAMLError | RecursionError, path: Path) -> Fault:
    """What YAML objects to."""
    whole = Place(str(path))
    if isinstance(error, RecursionError):
        return Fault("config.too_deep", "nested too deeply", whole, "write it with fewer levels")
    if isinstance(error, _TooLarge):
        return Fault(
            "config.too_large",
            "aliases (*NAME) stand for more than {most:,} values, or for themselves",
            whole,
            "write the values themselves",
            most=_MOST_VALUES,
        )
    if isinstance(error, _BadScalar):
        return Fault(
            "config.bad_scalar",
            "invalid YAML: {reason}",
            _place_of(error, path),
            "put quotes around it",
            reason=error.problem,
        )
    if isinstance(error, yaml.MarkedYAMLError):
        return Fault(
            "config.bad_yaml",
            "invalid YAML: {reason}",
            _place_of(error, path),
            "check indentation, colons and quotes",
            reason=error.problem or error.context,
        )
    return Fault(
        "config.bad_character",
        "invalid YAML: {reason}",
        whole,
        "remove what is not plain text",
        reason=error,
    )


def _place_of(error: yaml.MarkedYAMLError, path: Path) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))


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
    """What a word on a command line stands for; itself where it is not YAML.

    A sign that would begin a block of text, which no command line has, stands for itself.
    """
    if text.strip() in ("|", ">"):
        return text.strip()
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError):
        return text


def put(values: dict[str, object], path: KeyPath, value: object, schema: type[Part]) -> None:
    """Write one key into a config's plain values."""
    level = values
    part: type[Part] | None = schema
    for key in path[:-1]:
        part = next(iter(parts_under(part, key)), None) if part else None
        inner = level.get(key)
        if not isinstance(inner, dict):
            # `strategy: lora` and then `strategy.r=8`: spell the short form out first.
            inner = {part.shorthand: inner} if part and part.shorthand and inner is not None else {}
            level[key] = inner
        level = inner
    level[path[-1]] = value
