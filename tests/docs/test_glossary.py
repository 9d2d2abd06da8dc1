"""The glossary: one row for a word in both languages, and what the code calls it exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| `([^`|]+)` \|$", re.MULTILINE)


def rows(page: str) -> list[tuple[str, ...]]:
    return ROW.findall((ROOT / page).read_text(encoding="utf-8"))


def defined(name: str) -> bool:
    """Whether a dotted name is a module of the package, or something that a module defines."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        stem = ROOT / "welltuned" / Path(*parts[:end])
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if file.exists():
            return _contains(ast.parse(file.read_text(encoding="utf-8")), parts[end:])
    return False


def _contains(node: ast.AST, names: list[str]) -> bool:
    if not names:
        return True
    for child in ast.iter_child_nodes(node):
        named = getattr(child, "name", None) or getattr(getattr(child, "target", None), "id", None)
        if named == names[0]:
            return _contains(child, names[1:])
    return False


@pytest.mark.parametrize("row", rows("docs/glossary.md"), ids=lambda row: row[0])
def test_what_the_code_calls_a_term_exists(row: tuple[str, ...]) -> None:
    assert defined(row[3]), f"welltuned.{row[3]} is gone: mend both glossaries"


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("models.anatomy.Anatomy.head", True),
        ("models.anatomy.Anatomy.heads", False),
        ("models.anatomies", False),
        ("rlhf.algorithms", True),
        ("nowhere", False),
    ],
)
def test_names_that_are_not_there_are_noticed(name: str, there: bool) -> None:
    assert defined(name) is there


def test_both_languages_have_the_same_terms_beside_each_other() -> None:
    english = [(term, chinese, code) for term, chinese, _, code in rows("docs/glossary.md")]
    chinese = [(term, word, code) for word, term, _, code in rows("docs/zh/glossary.md")]
    assert english == chinese and len(english) >= 25


def test_a_word_stands_once() -> None:
    for column in (0, 1):
        words = [row[column] for row in rows("docs/glossary.md")]
        assert len(set(words)) == len(words)
