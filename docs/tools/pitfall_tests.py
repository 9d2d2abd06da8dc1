"""The last column of docs/pitfalls.md: the test files that carry each id.

`make pitfalls` rewrites it, and `tests/docs/test_pitfalls.py` holds it equal.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs/pitfalls.md"
ID = r"[FGLPTSRO]\d+"
ROW = re.compile(rf"^(\| ({ID}) \|.*\| )[^|]* \|$", re.MULTILINE)
_MARK = re.compile(rf"\(({ID}(?:, {ID})*)\)|[Pp]itfalls? ({ID}(?:(?:, | and ){ID})*)")
_NAME = re.compile(r"^test_([glptsro]\d+)_")


def main() -> None:
    """Write the column."""
    PAGE.write_text(with_tests(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_tests(page: str) -> str:
    """The page with the test files of today in its last column."""
    files = tags()
    return ROW.sub(lambda row: f"{row[1]}{', '.join(f'`{one}`' for one in files[row[2]])} |", page)


def tags() -> dict[str, list[str]]:
    """The files in which tests carry each id, in a docstring or in their name."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        if file.parent != TESTS / "docs":
            for name in ids(file.read_text(encoding="utf-8")):
                found[name].append(file.relative_to(TESTS).as_posix())
    return found


def ids(source: str) -> set[str]:
    """The ids that a test file carries."""
    return {name for text in _carried(ast.parse(source)) for name in text}


def _carried(module: ast.Module) -> Iterator[list[str]]:
    for node in ast.walk(module):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            marks = _MARK.finditer(ast.get_docstring(node) or "")
            yield [name for mark in marks for name in re.findall(ID, mark[0])]
        if isinstance(node, ast.FunctionDef):
            yield [name.upper() for name in _NAME.findall(node.name)]


if __name__ == "__main__":
    main()
