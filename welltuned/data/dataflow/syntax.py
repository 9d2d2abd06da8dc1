"""Syntax: a parsed source as a plain tree without comments, its leaves numbered as tokens.

tree-sitter counts bytes. So a token is cut out of the source's bytes, and what is not ASCII stays
whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from welltuned.data.dataflow.rules import LanguageTable, Side

if TYPE_CHECKING:
    from tree_sitter import Node, TreeCursor


@dataclass(slots=True, eq=False)
class Syntax:
    """A node of the tree."""

    kind: str
    named: bool
    token: int | None = None
    """Which token it is, where it is a leaf."""
    text: str = ""
    """What a leaf says."""
    children: list[Syntax] = field(default_factory=list)
    fields: dict[str, Syntax] = field(default_factory=dict)
    """The first child of each field."""

    @property
    def is_word(self) -> bool:
        """Whether it is a leaf that says something of its own: a name or a literal, no keyword."""
        return self.token is not None and self.text != self.kind

    def side(self, side: Side) -> Syntax | None:
        """The child of a field, or with a number among the named ones."""
        if isinstance(side, str):
            return self.fields.get(side)
        named = [child for child in self.children if child.named]
        return named[side] if -len(named) <= side < len(named) else None

    def words(self) -> Iterator[Syntax]:
        """Its leaves that are words, in order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.is_word:
                yield node
            waiting.extend(reversed(node.children))


def read_tree(root: Node, source: bytes, table: LanguageTable) -> tuple[Syntax, list[str]]:
    """The tree and its tokens. However deep a tree is, it is read without recursion."""
    reader = _Reader(source, table)
    cursor, open_nodes = root.walk(), [Syntax("", True)]
    while True:
        node = reader.take(cursor, open_nodes[-1])
        if node is not None and node.token is None and cursor.goto_first_child():
            open_nodes.append(node)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return open_nodes[0], reader.tokens
            open_nodes.pop()


class _Reader:
    """Turns nodes of tree-sitter into nodes of ours."""

    def __init__(self, source: bytes, table: LanguageTable) -> None:
        self._source = source
        self._table = table
        self._strings = frozenset(table.strings)
        self._comments = frozenset(table.comments)
        self.tokens: list[str] = []

    def take(self, cursor: TreeCursor, parent: Syntax) -> Syntax | None:
        """The node under the cursor, put under its parent; None where nothing of it is read."""
        found = cursor.node
        assert found is not None, "a cursor stands on a node"
        kind = found.type
        if kind in self._comments or self._is_docstring(found):
            return None
        node = Syntax(kind, found.is_named)
        if kind in self._strings or not found.child_count:
            text = self._source[found.start_byte : found.end_byte].decode("utf-8", "replace")
            if not text.strip():
                return None  # what a parser put in, or a line's end
            node.token, node.text = len(self.tokens), text
            self.tokens.append(text)
        parent.children.append(node)
        if (name := cursor.field_name) is not None:
            parent.fields.setdefault(name, node)
        return node

    def _is_docstring(self, node: Node) -> bool:
        if node.type not in self._table.docstrings or node.child_count != 1:
            return False
        only = node.child(0)
        return only is not None and only.type in self._strings
