"""The file tree of both READMEs, written from the docstrings of the package.

`make tree` rewrites it between its markers, and `tests/docs/test_readme_tree.py` holds it equal.
Folders come in the order of the import contract: each imports only from those below it.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "welltuned"
GLOSSES = Path(__file__).with_suffix(".yaml")
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh.md"}
BLOCK = re.compile(r"(<!-- tree -->\n```\n)(.*?)(```\n<!-- end of tree -->)", re.DOTALL)


def main() -> None:
    """Write the tree into both READMEs."""
    for language, file in READMES.items():
        text = file.read_text(encoding="utf-8")
        file.write_text(with_tree(text, language), encoding="utf-8")


def with_tree(text: str, language: str) -> str:
    """A README with the tree of today between its markers."""
    drawn, times = BLOCK.subn(lambda found: found[1] + tree(language) + found[3], text)
    if times != 1:
        raise ValueError(f"a README has one tree between its markers, not {times}")
    return drawn


def tree(language: str) -> str:
    """The package and the folders beside it, one line each, in English or Chinese."""
    glosses = english() if language == "en" else chinese()
    lines = [("welltuned/", "")]
    for entry in entries():
        depth = len(Path(entry).parts)
        lines.append(("  " * depth + Path(entry).name + "/" * entry.endswith("/"), glosses[entry]))
    lines += [(f"{name}/", glosses[f"/{name}"]) for name in beside()]
    width = max(len(name) for name, _ in lines) + 2
    return "".join(f"{name:<{width}}{gloss}".rstrip() + "\n" for name, gloss in lines)


def entries() -> list[str]:
    """What stands at the top of the package, and the folders in its folders; folders end in `/`."""
    found = []
    for name in sorted(_names(PACKAGE), key=_rank):
        found.append(name)
        if name.endswith("/"):
            found += [name + inner for inner in _names(PACKAGE / name) if inner.endswith("/")]
    return found


def english() -> dict[str, str]:
    """The gloss of each entry: its docstring, or where there is none, `readme_tree.yaml`."""
    table = yaml.safe_load(GLOSSES.read_text(encoding="utf-8"))["en"]
    return {entry: table.get(entry) or first_sentence(_module(entry)) for entry in entries()} | {
        f"/{name}": table[f"/{name}"] for name in beside()
    }


def chinese() -> dict[str, str]:
    """The Chinese gloss of each entry."""
    table: dict[str, str] = yaml.safe_load(GLOSSES.read_text(encoding="utf-8"))["zh"]
    return table


def beside() -> list[str]:
    """The folders beside the package that belong to the project."""
    return ["examples", "tests", "benchmarks", "docs"]


def first_sentence(module: Path) -> str:
    """The first sentence of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    if not text:
        raise ValueError(f"{module} has no docstring")
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[^.]\.)\s", paragraph)[0].removesuffix(".")


def _names(folder: Path) -> list[str]:
    """The entries of a folder as the tree names them; folders end in `/`."""
    return [
        one.name + "/" * one.is_dir()
        for one in sorted(folder.iterdir())
        if one.name != "__pycache__"
    ]


def _module(entry: str) -> Path:
    return PACKAGE / entry / "__init__.py" if entry.endswith("/") else PACKAGE / entry


def _rank(name: str) -> tuple[int, str]:
    """The place of an entry in the import contract; what it does not mention stands first."""
    order = layers()
    stem = name.removesuffix("/").removesuffix(".py")
    return (order.index(stem) + 1 if stem in order else 0, name)


def layers() -> list[str]:
    """The parts of the package from the top layer to the lowest."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    parts = [part for layer in contract["layers"] for part in re.split(r"\s*[|:]\s*", layer)]
    return [part.removeprefix("welltuned.") for part in parts]


if __name__ == "__main__":
    main()
