"""No strategy, task, RL algorithm or rule of rewards is known by its name outside its own folder.

Whoever has to know something of one asks a trait of it. What `ALLOWED` lists only becomes less.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import welltuned
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.rlhf.rewards import REWARDS, Check
from welltuned.strategies import STRATEGIES
from welltuned.tasks import TASKS

PACKAGE = Path(welltuned.__file__).parent
KINDS: dict[str, tuple[str, list[Any]]] = {
    "strategies": ("strategies", list(STRATEGIES.own.values())),
    "algorithms": ("rlhf/algorithms", list(ALGORITHMS.own.values())),
    "tasks": ("tasks", list(TASKS.own.values())),
    "rewards": ("rlhf/rewards", [part for part in REWARDS.own.values() if issubclass(part, Check)]),
}
"""By kind its folder and its classes."""
WORDS = {
    *("prompt", "prefix", "peft", "exact", "reward", "preference", "classification", "generation"),
    *("pattern", "json", "length", "language", "contains"),
}
"""Names that mean something else as well: a column, a library, a score, a stage. They count in
comparisons."""
ALLOWED = {
    "strategies": dict[str, int](),
    "algorithms": dict[str, int](),
    "rewards": dict[str, int](),
    "tasks": {"experiments/comparison/variants.py": 1},  # the key `reward` of a variant
}


parsed = cache(ast.parse)


def names_in(text: str, kind: str) -> list[str]:
    """Every place in a module's text that knows one by its class or its name."""
    folder, classes = KINDS[kind]
    module = f"welltuned.{folder.replace('/', '.')}"
    tree = parsed(text)
    own = {part.model_fields["type"].default for part in classes}
    return sorted(
        f"{line}: {name}"
        for line, name in {
            *_imported(tree, module, {part.__name__ for part in classes}),
            *_written(tree, own - WORDS),
            *_compared(tree, own & WORDS),
        }
    )


def _imported(tree: ast.AST, module: str, classes: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(module):
            yield from ((node.lineno, a.name) for a in node.names if a.name in classes)


def _written(tree: ast.AST, names: set[str]) -> Iterator[tuple[int, str]]:
    """String constants, but for the examples of a key, which its documentation shows."""
    shown = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "examples"
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in shown:
            yield node.lineno, str(node.value)


def _compared(tree: ast.AST, names: set[str]) -> Iterator[tuple[int, str]]:
    """String constants that something's type is compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and ("type" in ast.unparse(node).replace("'", "")):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and part.value in names:
                    yield part.lineno, str(part.value)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_else_knows_a_name(kind: str) -> None:
    home, _ = KINDS[kind]
    found = {
        file.relative_to(PACKAGE).as_posix(): names_in(file.read_text(encoding="utf-8"), kind)
        for file in sorted(PACKAGE.rglob("*.py"))
        if not file.is_relative_to(PACKAGE / home)
    }
    more = {
        name: places for name, places in found.items() if len(places) > ALLOWED[kind].get(name, 0)
    }
    assert not more, "ask a trait of it instead"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('if strategy.type == "lora":\n    pass', ["1: lora"]),
        ('if strategy.type in ("prompt", "prefix"):\n    pass', ["1: prefix", "1: prompt"]),
        ('RATES = {"full": 1e-5}', ["1: full"]),
        ("from welltuned.strategies import Lora, Strategy", ["1: Lora"]),
        ('x = Field(examples=["lora"])', []),
        ('"""Such as lora."""\nroles = ("prompt", "response")', []),
        ("from functools import partial", []),
    ],
)
def test_a_name_is_noticed_wherever_it_stands(text: str, found: list[str]) -> None:
    assert names_in(text, "strategies") == found
