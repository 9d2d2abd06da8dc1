"""The page of pitfalls and the tests that hold them name the same ids, and each its tests."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs/pitfalls.md"
ID = r"[FGLPTSRO]\d+"
MARK = re.compile(rf"\(({ID}(?:, {ID})*)\)|[Pp]itfalls? ({ID}(?:(?:, | and ){ID})*)")
NAME = re.compile(r"^test_([glptsro]\d+)_")


def tags() -> dict[str, set[str]]:
    """The files in which tests carry each id, in a docstring or in their name."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in TESTS.rglob("test_*.py"):
        if file.parent != Path(__file__).parent:
            for name in ids(file.read_text(encoding="utf-8")):
                found[name].add(file.relative_to(TESTS).as_posix())
    return found


def ids(source: str) -> set[str]:
    """The ids that a test file carries."""
    return {name for text in _told(ast.parse(source)) for name in text}


def _told(module: ast.Module) -> Iterator[list[str]]:
    for node in ast.walk(module):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            marks = MARK.finditer(ast.get_docstring(node) or "")
            yield [name for mark in marks for name in re.findall(ID, mark[0])]
        if isinstance(node, ast.FunctionDef):
            yield [name.upper() for name in NAME.findall(node.name)]


def told() -> dict[str, set[str]]:
    """What the page says: of each id, the files of its tests."""
    rows = re.findall(rf"^\| ({ID}) \|.*\| ([^|]*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(dict(rows)) == len(rows), "an id stands twice"
    return {name: set(re.findall(r"`([^`]+)`", files)) for name, files in rows}


def test_every_id_in_tests_is_on_the_page_and_every_id_of_the_page_has_its_tests() -> None:
    assert told() == tags()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def test_a():\n    """(G1) One more."""', {"G1"}),
        ('def test_a():\n    """Not (P1, P5), macro-F1, or (see X2)."""', {"P1", "P5"}),
        ('"""Pitfalls S1, S2 and S3: here."""', {"S1", "S2", "S3"}),
        ("def test_o11_gradients():\n    pass", {"O11"}),
        ('def test_f1():\n    """The F1 of a class."""', set()),
    ],
)
def test_which_ids_a_test_file_carries(source: str, found: set[str]) -> None:
    assert ids(source) == found
