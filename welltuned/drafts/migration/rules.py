"""The rules of a library: what each key of its configs is called here, as its YAML table says.

carried:            KEY: our.key, or KEY: {to: our.key, …} with the fields of `Rule`
nothing, left:      lists of {keys: […], because: …}
own:                keys that the library's module reads itself
defaults:           what that library takes where a key is not given, if we take something else
defaults_of:        the same, by our task
marks:              keys by which its configs are recognised
kinds:              keys by which a config's task is recognised, by our task; `otherwise` is one
extends:            another table whose rules hold too
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from welltuned.training.trackers import installed_trackers

_WORDS = {"yes": True, "on": True, "no": False, "off": False}
"""What YAML 1.1, by which other libraries read their configs, takes for true and false."""
_OFF: tuple[object, ...] = (False, "none", "no", "", [], {})


class Fate(Enum):
    """What becomes of a value that has no other one here."""

    NOTHING = "it asks for nothing"
    REFUSED = "there is no such thing here"


@dataclass(frozen=True)
class Rule:
    """What becomes of one key."""

    to: str | None = None
    """The key here; None where there is none."""
    values: Mapping[Any, Any] | None = None
    """What its values are called here; null where one asks for nothing."""
    other: bool = False
    """Whether values that are not in `values` are taken as they are."""
    only: Literal["share", "whole"] | None = None
    """Which numbers alone can be carried over: below 1, or whole ones from 1 on."""
    listed: bool = False
    """Whether a text holds several words with commas between them."""
    trackers: bool = False
    """Whether the words are trackers: each is carried over by itself, and beside those that other
    keys name. `all` are those that are installed."""
    implied: str | None = None
    """What is said by whatever value there is, but an empty one."""
    also: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    """What else a value says, by keys here."""
    instead_of: str | None = None
    """A key here that does not count beside this one."""
    essential: bool = False
    """Whether a value that cannot be carried over leaves nothing to carry."""
    because: str = ""
    """Why it is not carried over, or need not be."""
    remark: str = ""
    """What differs where it is carried over."""
    needed: bool = True
    """Whether somebody loses something where it is not carried over."""

    def translate(self, given: object) -> object:
        """The value here, or what else becomes of it."""
        value = self._plain(given)
        if self.implied is not None:
            return Fate.NOTHING if value in _OFF else self.implied
        if self.to is None:
            return Fate.REFUSED if self.needed and value not in _OFF else Fate.NOTHING
        if self.values is not None:
            known = isinstance(value, (str, int, float)) and value in self.values
            if known:
                found = self.values[value]
                return Fate.NOTHING if found is None else found
            if not self.other:
                return Fate.REFUSED
        if self.listed and isinstance(value, str):
            return self._words(value)
        return value if self._may_be(value) else Fate.REFUSED

    @staticmethod
    def _words(text: str) -> list[str]:
        return [word.strip() for word in text.split(",") if word.strip()]

    def parts(self, value: object) -> list[object]:
        """What is carried over by itself of a value."""
        if not self.trackers or not isinstance(value, (str, list)):
            return [value]
        named: list[object] = []
        for word in self._words(value) if isinstance(value, str) else value:
            named += installed_trackers() if word == "all" else [word]
        return [name for i, name in enumerate(named) if name not in named[:i]] or ["none"]

    def _plain(self, value: object) -> object:
        """The one value of a list, and a word of YAML 1.1 where true and false are expected."""
        if isinstance(value, list) and len(value) == 1 and not self.listed:
            value = value[0]
        expects = {type(key) for key in self.values or ()}
        if bool in expects and isinstance(value, str):
            return _WORDS.get(value.lower(), value)
        return value

    def _may_be(self, value: object) -> bool:
        if self.only is None:
            return True
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return 0 <= value < 1 if self.only == "share" else value >= 1 and value == int(value)


@dataclass(frozen=True)
class KeyTable:
    """Everything that is known of a library's keys."""

    library: str
    """What people call it."""
    marks: frozenset[str]
    rules: Mapping[str, Rule]
    own: frozenset[str]
    defaults: Mapping[str, Any]
    defaults_of: Mapping[str, Mapping[str, Any]]
    kinds: Mapping[str, Any]
    columns: Mapping[str, Mapping[str, str]]
    """Our roles of the columns that it names, by what is learned."""

    def defaults_for(self, task: str) -> dict[str, object]:
        """What it takes where nothing is given, for a task of ours."""
        return {**self.defaults, **self.defaults_of.get(task, {})}


@cache
def read_table(name: str) -> KeyTable:
    """The table of a library, by the name of its file."""
    values = _values(name)
    more = values.get("extends")
    inherited = read_table(more) if more else None
    rules = {**(inherited.rules if inherited else {}), **dict(_rules(values))}
    return KeyTable(
        library=values.get("library", ""),
        marks=frozenset(values.get("marks", ())),
        rules=rules,
        own=frozenset(values.get("own", ())),
        defaults=values.get("defaults", {}),
        defaults_of=values.get("defaults_of", {}),
        kinds=values.get("kinds", {}),
        columns=values.get("columns", {}),
    )


def _values(name: str) -> dict[str, Any]:
    file = Path(__file__).with_name(f"{name}.yaml")
    values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return values


def _rules(values: Mapping[str, Any]) -> Iterator[tuple[str, Rule]]:
    for key, rule in values.get("carried", {}).items():
        yield key, Rule(to=rule) if isinstance(rule, str) else Rule(**_spelled_out(rule))
    for outcome in ("nothing", "left"):
        for group in values.get(outcome, ()):
            for key in group["keys"]:
                yield key, Rule(because=group["because"], needed=outcome == "left")


def _spelled_out(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A list of values is of those that are called the same here."""
    same = rule.get("values")
    if isinstance(same, list):
        return {**rule, "values": dict(zip(same, same, strict=True))}
    return dict(rule)
