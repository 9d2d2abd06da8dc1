"""Rules: what a kind of syntax node does to the names in it.

A side of a node is told by its field in the grammar or, where the grammar has none, by its number
among the node's named children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

Side = str | int


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Names get a value: `x = a + b`."""

    kinds: tuple[str, ...]
    target: Side = "left"
    value: Side = "right"
    pairwise: bool = False
    """Whether `a, b = c, d` is two bindings, where both sides have as many parts."""
    at_once: bool = False
    """Whether a name is one node with all words of its value, and not one node for each."""
    computed: bool = True
    """Whether the value is computed, and not that of a definition."""
    declares: bool = False
    """Whether without a value the names are new all the same."""

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.target, self.value


@dataclass(frozen=True, kw_only=True)
class Increment:
    """Names get a value that follows from their own: `i++`."""

    kinds: tuple[str, ...]
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What is known of names afterwards is what one arm or another left."""

    kinds: tuple[str, ...]
    arms: tuple[str, ...]
    """Kinds of children that begin with what was known before the branch."""
    latches: bool = False
    """Whether all that follows the first arm is an arm as well, as after the word `else`."""
    keeps_entry: bool = False
    """Whether what was known before stays possible even where there is an `else`."""
    sides: tuple[Side, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """Names take the values of a collection one by one: `for x in xs`. It is walked twice."""

    binding: Binding
    body: Side = "body"
    afterwards: Side | None = None
    """What is walked once when the loop has ended, such as its `else`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        return self.binding.kinds

    @property
    def sides(self) -> tuple[Side, ...]:
        last = () if self.afterwards is None else (self.afterwards,)
        return *self.binding.sides, self.body, *last


@dataclass(frozen=True, kw_only=True)
class CountedLoop:
    """`for (start; test; update)`: walked whole, and then again without its start."""

    kinds: tuple[str, ...]
    starts: tuple[str, ...]
    """Kinds of children of which the first ends what is walked only once."""
    sides: tuple[Side, ...] = ()
    """Sides of that child that are walked again all the same, such as an update within it."""


@dataclass(frozen=True, kw_only=True)
class RepeatedBlock:
    """Walked twice, so that what an iteration leaves reaches the next one."""

    kinds: tuple[str, ...]
    sides: tuple[Side, ...] = ()


Rule = Binding | Increment | Branch | Iteration | CountedLoop | RepeatedBlock


@dataclass(frozen=True, kw_only=True)
class LanguageTable:
    """All that extraction knows of one language."""

    title: str
    package: str
    """The Python package of its grammar."""
    grammar: str = "language"
    """The function in that package that gives the grammar."""
    rules: tuple[Rule, ...]
    strings: tuple[str, ...]
    """Literals that are one token, quotes included."""
    identifiers: tuple[str, ...] = ("identifier",)
    """Leaves that are known from their first occurrence on."""
    comments: tuple[str, ...] = ("comment",)
    docstrings: tuple[str, ...] = ()
    """Statements that are left out where they are nothing but a string."""
    walked_first: tuple[str, ...] = ()
    """Children that are walked before those that stand in front of them: `x for x in xs`."""
    frame: tuple[str, str] | None = None
    """What a source is put between where it is not there yet."""

    @cached_property
    def rule_of(self) -> Mapping[str, Rule]:
        """By kind of node."""
        return {kind: rule for rule in self.rules for kind in rule.kinds}

    @property
    def known_kinds(self) -> Iterator[str]:
        """Every kind of node that the table names."""
        for rule in self.rules:
            yield from rule.kinds
            yield from getattr(rule, "arms", ())
            yield from getattr(rule, "starts", ())
        told = self.strings, self.identifiers, self.comments, self.docstrings, self.walked_first
        yield from chain.from_iterable(told)

    @property
    def known_fields(self) -> Iterator[str]:
        """Every field of nodes that the table names."""
        for rule in self.rules:
            yield from (side for side in rule.sides if isinstance(side, str))
