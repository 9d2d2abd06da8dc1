"""Nobody outside `tasks/` knows a task by its name: traits are asked, and so a new task fits in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import welltuned
from welltuned import tasks
from welltuned.tasks import Problem, Task

ROOT = Path(welltuned.__file__).parent
NAMES = {
    *tasks.TASKS.own,
    *("single_label", "multi_label", "regression", "ratings", "preferences", "direct_preference"),
}
"""Names of tasks, and of the problems that they become."""
CLASSES = {
    name
    for name in tasks.__all__
    if isinstance(found := getattr(tasks, name), type)
    and issubclass(found, (Task, Problem))
    and found not in (Task, Problem)
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The modules of the package that are no tasks themselves."""
    for file in sorted(ROOT.rglob("*.py")):
        inside = file.relative_to(ROOT)
        if inside.parts[0] != "tasks":
            yield str(inside), ast.parse(file.read_text(encoding="utf-8"))


def compared_names(tree: ast.Module) -> Iterator[str]:
    """Names of tasks that something of a task is compared with: `x.type == "reward"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and _of_a_task(node.left):
            constants = (part for side in node.comparators for part in ast.walk(side))
            yield from (
                str(part.value)
                for part in constants
                if isinstance(part, ast.Constant) and part.value in NAMES
            )


def _of_a_task(node: ast.expr) -> bool:
    key = node.attr if isinstance(node, ast.Attribute) else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        key = str(node.slice.value)
    return key in ("type", "task", "problem")


def test_no_task_is_compared_by_its_name() -> None:
    assert {name: found for name, tree in modules() if (found := set(compared_names(tree)))} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    for code in ('x.type == "reward"', 'facts["problem"] in ("regression", "ratings")'):
        assert set(compared_names(ast.parse(code)))
    assert not set(compared_names(ast.parse('stage.name == "reward"')))


def test_no_class_of_a_task_is_imported_outside() -> None:
    imported = {
        name: names
        for name, tree in modules()
        if (
            names := {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                and (node.module or "").startswith("welltuned.tasks")
                for alias in node.names
            }
            & CLASSES
        )
    }
    assert imported == {}
    assert {"Classification", "GenerationProblem"} <= CLASSES


def test_every_task_is_found_by_its_name_and_restores_only_what_an_artifact_holds() -> None:
    assert list(tasks.TASKS.own) == [task.name() for task in tasks.TASKS.own.values()]
    assert tasks.DEFAULT_TASK.type == tasks.TASKS.default
