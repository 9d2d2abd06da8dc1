"""One name, one meaning: no public function or class has its name twice in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import welltuned


def test_no_public_name_is_defined_twice() -> None:
    package = Path(welltuned.__file__).parent
    places: dict[str, list[str]] = defaultdict(list)
    for file in sorted(package.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_":
                places[node.name].append(str(file.relative_to(package)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert twice == {}
