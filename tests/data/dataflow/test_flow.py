"""The walk: what is known of names after branches and loops, and where it ends."""

from __future__ import annotations

import pytest

from welltuned.data.dataflow import flow
from welltuned.data.dataflow.flow import TangledError, find_origins
from welltuned.data.dataflow.rules import Binding, Branch, LanguageTable, RepeatedBlock
from welltuned.data.dataflow.syntax import Syntax

TABLE = LanguageTable(
    title="Made up",
    package="none",
    rules=(
        Binding(kinds=("set",)),
        Branch(kinds=("if",), arms=("else_arm",)),
        RepeatedBlock(kinds=("loop",)),
    ),
    strings=(),
)


class Tokens:
    """Makes trees whose leaves are numbered in the order they are made."""

    def __init__(self) -> None:
        self.number = 0

    def name(self, text: str) -> Syntax:
        self.number += 1
        return Syntax("identifier", True, self.number - 1, text)

    def assign(self, target: str, value: str) -> Syntax:
        left, right = self.name(target), self.name(value)
        return Syntax("set", True, children=[left, right], fields={"left": left, "right": right})


def node(kind: str, *children: Syntax) -> Syntax:
    return Syntax(kind, True, children=[*children])


def sources(tree: Syntax) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for origin in find_origins(tree, TABLE):
        found.setdefault(origin.token, set()).update(origin.sources)
    return found


def test_after_a_branch_without_else_both_values_are_possible() -> None:
    make = Tokens()
    tree = node("root", make.assign("x", "a"), node("if", make.assign("x", "b")), make.name("x"))
    assert sources(tree)[4] == {0, 2}


def test_after_an_else_the_value_before_is_gone() -> None:
    make = Tokens()
    other = node("else_arm", make.assign("x", "c"))
    branch = node("if", make.assign("x", "b"), other)
    tree = node("root", branch, make.name("x"))
    assert sources(tree)[4] == {0, 2}, "each arm's own"


def test_what_an_iteration_leaves_reaches_the_next() -> None:
    make = Tokens()
    tree = node("loop", make.assign("y", "x"), make.assign("x", "y"))
    assert sources(tree)[1] == {2}, "the x that is read is the one that is set below"


def test_each_loop_within_a_loop_doubles_the_walk_so_it_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow, "_MOST_VISITS", 500)
    make = Tokens()
    tree = make.assign("x", "y")
    for _ in range(6):
        tree = node("loop", tree)
    assert find_origins(tree, TABLE)
    for _ in range(6):
        tree = node("loop", tree)
    with pytest.raises(TangledError):
        find_origins(tree, TABLE)
