"""Values of a JSON document with where they stand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from welltuned.data.readers.json_nodes import DECODER, Node, decoded, root_of

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=20,
)


def rebuilt(node: Node) -> object:
    """The value of a node, from those within it."""
    if isinstance(node.value, dict):
        return {key: rebuilt(one) for key, one in node.inner()}
    return [rebuilt(one) for _, one in node.inner()] if isinstance(node.value, list) else node.value


@given(VALUES, some.sampled_from([None, 0, 3]))
def test_the_values_within_make_up_the_whole(value: object, indent: int | None) -> None:
    root = root_of(json.dumps(value, indent=indent))
    assert root is not None and rebuilt(root) == value


def test_each_has_the_line_it_begins_on() -> None:
    root = root_of('\n{"a": [1,\n2],\n\n"b": {}}')
    assert root is not None and root.line == 2
    a, b = (node for _, node in root.inner())
    assert (a.line, b.line) == (2, 5) and [one.line for _, one in a.inner()] == [2, 3]


def test_what_is_no_document_has_no_root() -> None:
    assert root_of("{") is None and root_of("1 2") is None and root_of("[" * 100_000) is None


LINES = some.tuples(
    some.sampled_from(["", " ", "\t", "\ufeff", "\u00a0"]),
    VALUES.map(json.dumps) | some.sampled_from(["{", '"', "nope", "1 2", "9" * 5000, '{"a": 1}}']),
    some.sampled_from(["", "\n", "\r\n", " \n", "\x0b", "\u2028", "\n\n", ", 1"]),
).map("".join)


@given(LINES)
def test_a_line_is_decoded_as_ever(line: str) -> None:
    try:
        wanted = DECODER.decode(line)
    except json.JSONDecodeError as error:
        with pytest.raises(json.JSONDecodeError) as found:
            decoded(line)
        assert str(found.value) == str(error)
    else:
        assert decoded(line) == wanted
