"""A reference of config keys, read off the config types: key, type, default, meaning, example.

    for key in walk(RunConfig):
        print(key.key, key.accepts, key.default, key.doc)

`welltuned help KEY` prints it and the documentation is generated from it. The string under a
field is its documentation; nothing here is written by hand.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

from pydantic.fields import FieldInfo

from welltuned.errors import Fault, InputError
from welltuned.schema.field_types import GoesWith, default_text, example_value, parts_in, type_text
from welltuned.schema.part import Part
from welltuned.schema.search_space import Around, Range


@dataclass(frozen=True)
class Key:
    """One key of a config: what may stand there and what stands there unless it is given."""

    path: tuple[str, ...]
    variant: str | None
    """The `type` that the part has which holds the key, such as `lora`; None where there is one
    kind of part alone."""
    owner: type[Part]
    """The part that holds the key."""
    name: str
    chosen: tuple[str, ...] = ()
    """What else must be written for the key to exist: `strategy=lora` for LoRA's `strategy.r`."""

    @property
    def field(self) -> FieldInfo:
        return self.owner.model_fields[self.name]

    @property
    def key(self) -> str:
        """As it is written on a command line: `training.learning_rate`."""
        return ".".join(self.path)

    @property
    def doc(self) -> str:
        """What it means."""
        told = field_docs(self.declared_in).get(self.name)
        if told is None and self.name == "type":
            told = part_doc(self.owner).partition("\n\n")[0]
        return " ".join((told or "").split())

    @property
    def accepts(self) -> str:
        """What may stand there, in words: `number > 0, "auto" or "find"`."""
        return type_text(self.field.annotation, self.field.metadata)

    @property
    def default(self) -> str:
        """As it would be written; "required" where there is none."""
        return default_text(self.field)

    @property
    def declared_in(self) -> type[Part]:
        """The class that says the default: the part, or the base it has the key from."""
        for base in self.owner.__mro__:
            if self.name in vars(base).get("__annotations__", {}):
                return base
        raise LookupError(f"no class declares {self.owner.__name__}.{self.name}")

    @property
    def source(self) -> str:
        """Where the default is written, as an import path."""
        return f"{self.declared_in.__module__}.{self.declared_in.__qualname__}"

    @property
    def parts(self) -> list[type[Part]]:
        """The parts that may stand there, for a key with keys below it."""
        return parts_in(self.field.annotation, self.field.metadata)

    @property
    def goes_with(self) -> list[GoesWith]:
        """The keys beside it without which it may not be given."""
        return [mark for mark in self.field.metadata if isinstance(mark, GoesWith)]

    @property
    def search(self) -> str:
        """Where a sweep looks for it, in words; empty for what no sweep tries by itself."""
        for marker in self.field.metadata:
            if isinstance(marker, Range):
                steps = ", by factors" if marker.log else ""
                return f"from {marker.low:g} to {marker.high:g}{steps}"
            if isinstance(marker, Around):
                return f"its usual value divided and multiplied by up to {marker.factor:g}"
        return ""

    @property
    def example(self) -> tuple[str, ...]:
        """How it may be written: arguments of a command line."""
        value = example_value(self.field)
        if value is None:
            return next(_walk(self.parts[0], self.path, None, self.chosen, (self.owner,))).example
        beside = "".join(f"{name}." for name in self.path[:-1])
        siblings = (f"{beside}{mark.key}={mark.value}" for mark in self.goes_with)
        return (*self.chosen, *siblings, f"{self.key}={value}")


@dataclass(frozen=True)
class Section:
    """One part, documented once, and every path at which it may stand."""

    part: type[Part]
    variant: str | None
    paths: tuple[str, ...]
    """Empty for a whole config."""
    keys: tuple[Key, ...]

    @property
    def doc(self) -> str:
        return part_doc(self.part)


def walk(schema: type[Part]) -> Iterator[Key]:
    """Every key of a config and of all parts below it, each before those below it."""
    yield from _walk(schema, (), None, (), (schema,))


def sections(schemas: Sequence[type[Part]]) -> list[Section]:
    """Every part of these configs once, in the order in which they are met.

    A config that extends an earlier one has its own keys alone.
    """
    paths: dict[type[Part], list[str]] = {schema: [] for schema in schemas}
    keys: dict[type[Part], dict[str, Key]] = {}
    for schema in schemas:
        earlier = [known for known in schemas[: schemas.index(schema)] if issubclass(schema, known)]
        for key in walk(schema):
            if key.owner is schema and key.declared_in in earlier:
                continue
            keys.setdefault(key.owner, {}).setdefault(key.name, key)
            parent = ".".join(key.path[:-1])
            known_paths = paths.setdefault(key.owner, [])
            if parent and parent not in known_paths:
                known_paths.append(parent)
    return [
        Section(part, type_of(part), tuple(paths[part]), tuple(found.values()))
        for part, found in keys.items()
    ]


def part_doc(part: type[Part]) -> str:
    """What a part is, as its docstring says."""
    return inspect.cleandoc(part.__doc__ or "")


@cache
def field_docs(part: type[Part]) -> dict[str, str]:
    """The strings under the fields that a part's own class declares, by field.

    Read off its source when they are asked for: pydantic would parse the source of every part
    whenever a config is read.
    """
    try:
        source = inspect.getsource(part)
    except (OSError, TypeError):  # a class that was written at a prompt has none
        return {}
    [declared] = ast.parse(textwrap.dedent(source)).body
    assert isinstance(declared, ast.ClassDef)
    found: dict[str, str] = {}
    for line, below in pairwise(declared.body):
        match line, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(doc))):
                found[name] = inspect.cleandoc(doc)
    return found


def type_of(part: type[Part]) -> str | None:
    """The `type` that tells a part from its siblings; None where it needs none."""
    field = part.model_fields.get("type")
    return field.default if field is not None and isinstance(field.default, str) else None


def _walk(
    part: type[Part],
    path: tuple[str, ...],
    variant: str | None,
    chosen: tuple[str, ...],
    above: tuple[type[Part], ...],
) -> Iterator[Key]:
    for name, field in part.model_fields.items():
        inner_path = (*path, field.alias or name)
        others = tuple(one for one in chosen if not one.startswith(f"{'.'.join(inner_path)}="))
        key = Key(inner_path, variant, part, name, others)
        yield key
        for inner in key.parts:
            if inner not in above:  # a part that holds itself is said once
                needed = (*key.chosen, *_needed(inner, key))
                yield from _walk(inner, key.path, type_of(inner), needed, (*above, inner))


def _needed(part: type[Part], key: Key) -> Iterator[str]:
    """What must be written for a part to stand under a key that may be left out."""
    if part.is_told_by_type():
        yield f"{key.key}={type_of(part)}"
    yield from (f"{key.key}.{name}={value}" for name, value in part.stands_with.items())
    if not key.field.is_required():
        for name, field in part.model_fields.items():
            if field.is_required():
                yield f"{key.key}.{field.alias or name}={example_value(field)}"


@dataclass(frozen=True)
class Reference:
    """All keys of several configs, to be asked for by a person."""

    schemas: Sequence[type[Part]]

    @cached_property
    def keys(self) -> list[Key]:
        """Every key once, though configs that extend each other share most."""
        found: dict[Any, Key] = {}
        for schema in self.schemas:
            for key in walk(schema):
                found.setdefault((key.key, key.variant, key.declared_in), key)
        return list(found.values())

    @cached_property
    def sections(self) -> list[Section]:
        return sections(self.schemas)

    def find(self, wanted: str) -> list[Key]:
        """The keys that a person means by a key, the end of one, or a part such as `lora`.

        Raises `InputError`, with the nearest names, when there are none.
        """
        found = matching(self.keys, wanted)
        found += [key for part in self.sections if part.variant == wanted for key in part.keys]
        if found:
            return found
        names = {key.key for key in self.keys} | {key.path[-1] for key in self.keys}
        names |= {part.variant for part in self.sections if part.variant}
        close = difflib.get_close_matches(wanted, sorted(names), n=3, cutoff=0.5)
        raise InputError(
            Fault(
                "config.help_unknown",
                "no key and no part is called '{name}'",
                None,
                "{hint}`welltuned help` lists all",
                name=wanted,
                hint=f"did you mean {' or '.join(map(repr, close))}? " if close else "",
            )
        )


def matching(keys: Sequence[Key], wanted: str) -> list[Key]:
    """The keys that a person means by `training.learning_rate`, `learning_rate` or `lora.r`.

    The whole key counts before its end, and of these the shortest keys alone.
    """
    found = [key for key in keys if key.key == wanted]
    if not found:
        tail = tuple(wanted.split("."))
        found = [key for key in keys if tail in (key.path[-len(tail) :], _by_variant(key))]
        shortest = min((len(key.path) for key in found), default=0)
        found = [key for key in found if len(key.path) == shortest]
    return found


def _by_variant(key: Key) -> tuple[str, ...]:
    """`lora.r` for a key that is `strategy.r` in whole."""
    return (key.variant or "", key.path[-1])
