"""Flow: one walk over a syntax tree, by a language's table, that finds where values come from.

What is known of names is which tokens last gave each a value. A name that is read takes its value
from these. Where a program branches, what is known afterwards is what any arm left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from welltuned.data.dataflow.rules import (
    Binding,
    Branch,
    CountedLoop,
    Increment,
    Iteration,
    LanguageTable,
    RepeatedBlock,
    Rule,
)
from welltuned.data.dataflow.syntax import Syntax

Known = dict[str, tuple[int, ...]]
"""By name the tokens that its value may come from."""


_MOST_VISITS = 300_000
"""Nodes that are visited for one source, about a second: each loop within a loop doubles them."""


class TangledError(Exception):
    """A program is nested too deeply for its flow to be followed."""


class ValueOrigin(NamedTuple):
    """A token, and those that its value comes from."""

    token: int
    computed: bool
    sources: tuple[int, ...]


def find_origins(tree: Syntax, table: LanguageTable) -> list[ValueOrigin]:
    """Where each value comes from, in the order of tokens; a token may stand there twice.

    Raises `TangledError`.
    """
    walk = _Walk(table)
    try:
        walk.node(tree, {})
    except RecursionError:
        raise TangledError from None
    return sorted(walk.found, key=lambda origin: origin.token)


class _Walk:
    def __init__(self, table: LanguageTable) -> None:
        self._table = table
        self._visits = 0
        self.found: list[ValueOrigin] = []

    def node(self, node: Syntax, known: Known) -> None:
        """Walk a node; what is known of names is changed."""
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise TangledError
        if node.token is not None:
            return self._leaf(node, known)
        match self._table.rule_of.get(node.kind):
            case Binding() as rule if node.side(rule.target) is not None:
                self._bind(rule, node, known)
            case Increment():
                words = list(node.words())
                self._give(words, words, known, at_once=False)
            case Branch() as rule:
                self._branch(rule, node, known)
            case Iteration() | CountedLoop() | RepeatedBlock() as rule:
                with self._united():
                    self._loop(rule, node, known)
            case _:
                self._children(node, known)

    def _children(self, node: Syntax, known: Known) -> None:
        first, children = self._table.walked_first, node.children
        if first:
            children = sorted(children, key=lambda child: child.kind not in first)
        self._in_order(children, known)

    def _leaf(self, leaf: Syntax, known: Known) -> None:
        if not leaf.is_word or leaf.token is None:
            return
        if leaf.text not in known and leaf.kind in self._table.identifiers:
            known[leaf.text] = (leaf.token,)
            self._say(leaf, ())
        else:
            self._say(leaf, known.get(leaf.text, ()))

    def _say(self, word: Syntax, sources: Sequence[int], computed: bool = False) -> None:
        assert word.token is not None, "only leaves are words"
        self.found.append(ValueOrigin(word.token, computed, tuple(sources)))

    # --- Bindings ------------------------------------------------------------------

    def _bind(self, rule: Binding, node: Syntax, known: Known) -> None:
        target, value = node.side(rule.target), node.side(rule.value)
        assert target is not None, "asked before"
        if value is None or value is target:
            for word in target.words() if rule.declares else ():
                self._say(word, ())
                known[word.text] = _token(word)
            return
        pairs = _pairs(target, value) if rule.pairwise else [(target, value)]
        for _, right in pairs:
            self.node(right, known)
        for left, right in pairs:
            self._give(left.words(), list(right.words()), known, rule.at_once, rule.computed)

    def _give(
        self,
        names: Sequence[Syntax] | Iterator[Syntax],
        values: Sequence[Syntax],
        known: Known,
        at_once: bool,
        computed: bool = True,
    ) -> None:
        """Each name has its value from all words of the value: at once, or from one by one."""
        tokens = [_token(value)[0] for value in values]
        for name in names:
            for sources in [tokens] if at_once else [[token] for token in tokens]:
                self._say(name, sources, computed)
            known[name.text] = _token(name)

    # --- Branches and loops --------------------------------------------------------

    def _branch(self, rule: Branch, node: Syntax, known: Known) -> None:
        entry, ends = dict(known), []
        has_else, latched = "else" in node.kind, False
        for child in node.children:
            has_else = has_else or "else" in child.kind
            if latched or child.kind in rule.arms:
                latched = rule.latches
                arm = dict(entry)
                self.node(child, arm)
                ends.append(arm)
            else:
                self.node(child, known)
        ends.append(dict(known))
        if rule.keeps_entry or not has_else:
            ends.append(entry)
        known |= _merged(ends)

    def _loop(self, rule: Rule, node: Syntax, known: Known) -> None:
        if isinstance(rule, CountedLoop):
            return self._counted(rule, node, known)
        for _ in range(2):
            if not isinstance(rule, Iteration):
                self._in_order(node.children, known)
                continue
            if node.side(rule.binding.target) is not None:
                self._bind(rule.binding, node, known)
            if (body := node.side(rule.body)) is not None:
                self.node(body, known)
        if isinstance(rule, Iteration) and rule.afterwards is not None:
            last = node.side(rule.afterwards)
            self._in_order([] if last is None else [last], known)

    def _counted(self, rule: CountedLoop, node: Syntax, known: Known) -> None:
        self._in_order(node.children, known)
        kinds = [child.kind for child in node.children]
        start = next((i for i, kind in enumerate(kinds) if kind in rule.starts), None)
        if start is None:
            return
        again = [node.children[start].side(side) for side in rule.sides]
        self._in_order([side for side in again if side is not None], known)
        self._in_order(node.children[start + 1 :], known)

    def _in_order(self, nodes: Sequence[Syntax], known: Known) -> None:
        for node in nodes:
            self.node(node, known)

    @contextmanager
    def _united(self) -> Iterator[None]:
        """What is found of a token in several passes is one origin."""
        before, self.found = self.found, []
        yield
        united: dict[tuple[int, bool], set[int]] = {}
        for token, computed, sources in self.found:
            united.setdefault((token, computed), set()).update(sources)
        self.found = before + [
            ValueOrigin(*which, tuple(sorted(sources))) for which, sources in united.items()
        ]


def _token(word: Syntax) -> tuple[int, ...]:
    assert word.token is not None, "only leaves are words"
    return (word.token,)


def _pairs(target: Syntax, value: Syntax) -> list[tuple[Syntax, Syntax]]:
    """What belongs together on both sides of `a, b = c, d`."""
    lefts, rights = (
        [child for child in side.children if child.kind != ","] for side in (target, value)
    )
    if not lefts or len(lefts) != len(rights):
        return [(target, value)]
    return list(zip(lefts, rights, strict=True))


def _merged(ends: Sequence[Known]) -> Known:
    found: dict[str, set[int]] = {}
    for end in ends:
        for name, tokens in end.items():
            found.setdefault(name, set()).update(tokens)
    return {name: tuple(sorted(tokens)) for name, tokens in found.items()}
