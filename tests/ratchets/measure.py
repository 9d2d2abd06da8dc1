"""Figures of the code that may only get better, measured in a second, without importing it.

python tests/ratchets/measure.py             compare with numbers.json; fails where one is worse
python tests/ratchets/measure.py --tighten   write down those that are better
python tests/ratchets/measure.py --list      name the worst places of each figure
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "welltuned", ROOT / "tests"
NUMBERS = Path(__file__).with_name("numbers.json")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Figure:
    """A number of which less is better, and the places that make it what it is."""

    name: str
    value: float
    places: tuple[str, ...] = ()


def figures(package: Path = PACKAGE, tests: Path = TESTS) -> list[Figure]:
    """Every figure of a package, of its tests, and of the pyproject.toml beside them."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules(package)}
    return [
        *lengths_of_functions(trees, package),
        length_of_files(trees, package),
        entries_at_the_top(package),
        layers_of_imports(package.parent / "pyproject.toml"),
        share_of_any(trees, package),
        modules_named_like_tests(package),
        modules_without_tests(trees, package, tests),
    ]


def modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def lengths_of_functions(trees: dict[Path, ast.Module], package: Path) -> list[Figure]:
    """Lines from `def` to the last statement."""
    lengths = sorted(
        (int(node.end_lineno or 0) - node.lineno + 1, f"{name_of(path, package)}:{node.name}")
        for path, tree in trees.items()
        for node in functions(tree)
    )
    longest = tuple(f"{length:4} {place}" for length, place in lengths[::-1][:10])
    tenth = lengths[int(0.9 * (len(lengths) - 1))][0]
    return [
        Figure("longest function, lines", lengths[-1][0], longest),
        Figure("nine functions in ten are no longer than, lines", tenth),
    ]


def length_of_files(trees: dict[Path, ast.Module], package: Path) -> Figure:
    lengths = sorted(
        (len(path.read_text(encoding="utf-8").splitlines()), name_of(path, package))
        for path in trees
    )
    longest = tuple(f"{length:4} {place}" for length, place in lengths[::-1][:10])
    return Figure("longest file, lines", lengths[-1][0], longest)


def entries_at_the_top(package: Path) -> Figure:
    names = sorted(path.name for path in package.iterdir() if path.name != "__pycache__")
    return Figure("entries at the top of the package", len(names), tuple(names))


def layers_of_imports(config: Path) -> Figure:
    settings = tomllib.loads(config.read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [layer for contract in settings["contracts"] for layer in contract.get("layers", ())]
    return Figure("layers of imports", len(layers), tuple(layers))


def share_of_any(trees: dict[Path, ast.Module], package: Path) -> Figure:
    """Public functions and methods one of whose parameters, or whose result, may be anything."""
    public = [
        (f"{name_of(path, package)}:{name}", [a for a in annotated(node) if mentions_any(a)])
        for path, tree in trees.items()
        for name, node in public_functions(tree)
    ]
    vague = [f"{name}: {', '.join(map(ast.unparse, said))}" for name, said in public if said]
    share = round(100 * len(vague) / max(len(public), 1), 1)
    return Figure("public signatures that say Any, %", share, tuple(vague))


def public_functions(tree: ast.Module, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Functions at the top of a module and methods, by name; `__init__` and `__call__` count."""
    stack: list[tuple[str, ast.stmt]] = [(prefix, node) for node in tree.body]
    while stack:
        before, node = stack.pop(0)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            stack += [(f"{before}{node.name}.", inner) for inner in node.body]
        elif isinstance(node, Function) and (
            not node.name.startswith("_") or node.name in ("__init__", "__call__")
        ):
            yield before + node.name, node


def annotated(node: Function) -> list[ast.expr]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
    found = [argument.annotation for argument in every] + [node.returns]
    return [annotation for annotation in found if annotation is not None]


def mentions_any(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


def modules_named_like_tests(package: Path) -> Figure:
    """pytest would collect them."""
    patterns = ("test_*.py", "*_test.py")
    found = [
        name_of(path, package)
        for path in modules(package)
        if any(fnmatch(path.name, pattern) for pattern in patterns)
    ]
    return Figure("modules named like tests", len(found), tuple(found))


def modules_without_tests(trees: dict[Path, ast.Module], package: Path, tests: Path) -> Figure:
    """Modules with a function in them that have no file of tests in the mirrored place."""
    found = [
        name_of(path, package)
        for path, tree in trees.items()
        if any(functions(tree)) and not mirrored(path, package, tests).exists()
    ]
    return Figure("modules without a mirrored file of tests", len(found), tuple(found))


def mirrored(path: Path, package: Path, tests: Path) -> Path:
    """`tests/data/test_splits.py` for `data/splits.py`, `tests/test_data.py` for `data` itself."""
    inside = path.relative_to(package)
    module = inside.parent if inside.stem == "__init__" else inside
    if module == Path("."):
        return tests / "test_package.py"
    return tests / module.parent / f"test_{module.stem}.py"


def name_of(path: Path, package: Path) -> str:
    return str(path.relative_to(package))


def judge(measured: list[Figure], recorded: dict[str, float]) -> tuple[list[str], dict[str, float]]:
    """What is worse than recorded, in words, and the record with all that is better."""
    faults = []
    for figure in measured:
        if figure.name not in recorded:
            faults.append(f"{figure.name}: not in {NUMBERS.name}")
        elif figure.value > recorded[figure.name]:
            limit = recorded[figure.name]
            faults.append(f"{figure.name}: {figure.value:g}, and no more than {limit:g} is allowed")
    best = {
        figure.name: min(figure.value, recorded.get(figure.name, figure.value))
        for figure in measured
    }
    return faults, best


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tighten", action="store_true", help="write down what is better")
    parser.add_argument("--list", action="store_true", help="name the worst places")
    options = parser.parse_args()
    recorded = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else {}
    measured = figures()
    for figure in measured:
        limit = recorded.get(figure.name, figure.value)
        better = "  better: --tighten" if figure.value < limit else ""
        print(f"{figure.value:6g} of {limit:<6g} {figure.name}{better}")
        for place in figure.places if options.list else ():
            print(f"              {place}")
    faults, best = judge(measured, recorded)
    if options.tighten:
        NUMBERS.write_text(json.dumps(best, indent=2) + "\n", encoding="utf-8")
    for fault in faults:
        print(f"worse than recorded: {fault}", file=sys.stderr)
    return 1 if faults and not options.tighten else 0


if __name__ == "__main__":
    sys.exit(main())
