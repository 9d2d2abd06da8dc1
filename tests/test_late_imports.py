"""Imports inside functions: each is named, with its reason, in `late_imports.txt`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import welltuned

PACKAGE = Path(welltuned.__file__).parent
LIST = Path(__file__).with_name("late_imports.txt")


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield from {submodule(node.module, alias.name) for alias in node.names}


def submodule(package: str, name: str) -> str:
    """`a.b` for `from a import b` where b is a module of ours, otherwise `a`."""
    file = PACKAGE.parent.joinpath(*package.split("."), f"{name}.py")
    return f"{package}.{name}" if file.exists() else package


def late_imports(file: Path) -> Iterator[str]:
    """The modules that a file imports inside functions."""
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                yield from imported(node)


def test_every_late_import_is_named_with_its_reason() -> None:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    named = {line for line in lines if line and not line.startswith("#")}
    found = {
        f"{file.relative_to(PACKAGE).as_posix()}: {module}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file.parent != PACKAGE / "cli"  # a verb imports when it is called
        for module in late_imports(file)
    }
    assert found - named == set(), "import these at the top, or say why not"
    assert named - found == set(), "these are gone: strike them from the list"
