"""Trees as they are walked: sides of a node, and its words."""

from __future__ import annotations

from welltuned.data.dataflow.grammars import parser_of
from welltuned.data.dataflow.syntax import Syntax, read_tree
from welltuned.data.dataflow.tables import LANGUAGES


def tree_of(source: str) -> tuple[Syntax, list[str]]:
    text = source.encode()
    return read_tree(parser_of("java").parse(text).root_node, text, LANGUAGES["java"])


def first(tree: Syntax, kind: str) -> Syntax:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node.kind == kind:
            return node
        waiting += reversed(node.children)
    raise AssertionError(kind)


def test_a_side_is_a_field_or_one_of_the_named_children() -> None:
    tree, _ = tree_of("x = /* no side */ y;")
    found = first(tree, "assignment_expression")
    assert found.side("left") is found.side(0) and found.side("right") is found.side(-1)
    assert found.side("body") is None and found.side(2) is None and found.side(-3) is None


def test_words_are_names_and_literals_in_order() -> None:
    tree, tokens = tree_of('x = f(y, "a b") + 1;')
    assert [word.text for word in tree.words()] == ["x", "f", "y", '"a b"', "1"]
    assert tokens == ["x", "=", "f", "(", "y", ",", '"a b"', ")", "+", "1", ";"]


def test_tokens_that_a_parser_puts_in_are_left_out() -> None:
    _, tokens = tree_of("int a = 1")
    assert tokens == ["int", "a", "=", "1"]
