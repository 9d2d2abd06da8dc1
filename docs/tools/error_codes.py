"""The codes of faults and messages, read off the source, and the page that lists the faults.

`make errors` rewrites `docs/errors.md`, and `tests/docs/test_error_codes.py` holds it equal.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "welltuned"
PAGE = ROOT / "docs/errors.md"

CODE = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z0-9]+(_[a-z0-9]+)*")
"""`area.kind`."""
FAULTS = {
    "Fault": 1,
    "add": 1,
    "add_counted": 1,
    "conflict": 1,
    "Unreadable": 1,
    "fault": 1,
    "_refuse": 2,
    "PluginError": 2,
}
"""What is called with a code, the words, a place where there is one, and a remedy: which argument
the words are."""
MESSAGES = {"message": 1, "note": 1}
"""The same of what makes the sentences that reports translate."""
MAKERS = FAULTS | MESSAGES
PASSED_ON = {*MAKERS, "verbatim"}
"""Functions that may pass on a code and words they are given: their own callers are read too, and
`verbatim` copies a fault that stands already."""

_OPENING = """# Errors

Written by `make errors` from the source; a test holds it equal.

Every error has a code that stays when its words change:

```
error: train.csv:3: the label is missing -> fill in 'label', or remove the row [data.cell_missing]
```

In Python, `error.faults` holds each with its `code`, `place` and `values`; with `--json`, the
command line prints the same. In the words below, `{name}` stands for a value.
"""


@dataclass(frozen=True)
class Coded:
    """One place in the source where a fault or a message is made."""

    code: str
    text: str
    remedy: str
    place: str
    values: frozenset[str]
    """The names of the values given there by name."""
    open: bool
    """Whether more values may be given there, by `**values`."""

    @property
    def fields(self) -> set[str]:
        """The names of the values that the words show."""
        parsed = string.Formatter().parse(self.text + self.remedy)
        return {name for _, name, _, _ in parsed if name is not None}


@cache
def faults() -> tuple[Coded, ...]:
    """Every fault of the package, in the order of files."""
    return tuple(_coded(FAULTS))


@cache
def messages() -> tuple[Coded, ...]:
    """Every message that reports translate."""
    return tuple(_coded(MESSAGES))


def uncoded(package: Path = PACKAGE) -> Iterator[str]:
    """Where a fault or a message is made without a literal code and literal words.

    Those need not be literal where a function of `PASSED_ON` hands on its own arguments.
    """
    for file, call, owner in _every_call(package):
        if owner not in PASSED_ON and not _is_coded(call, MAKERS):
            yield f"{file.relative_to(package.parent)}:{call.lineno}"


def _is_coded(call: ast.Call, words_at: dict[str, int]) -> bool:
    code, words = _text(call, 0), _text(call, words_at[_name(call)])
    return words is not None and code is not None and CODE.fullmatch(code) is not None


def page() -> str:
    """`docs/errors.md`: the faults by area and code."""
    known = {coded.code: coded for coded in sorted(faults(), key=lambda coded: coded.code)}
    parts = [_OPENING]
    for area, found in groupby(known.values(), key=lambda coded: coded.code.partition(".")[0]):
        rows = [f"| `{one.code}` | {_cell(one.text)} | {_cell(one.remedy)} |" for one in found]
        parts.append("\n".join([f"## {area}\n", "| code | what it says | how to mend it |",
                                "|---|---|---|", *rows]) + "\n")  # fmt: skip
    return "\n".join(parts)


def _cell(template: str) -> str:
    return template.replace("{{", "{").replace("}}", "}").replace("|", "\\|")


def _coded(words_at: dict[str, int]) -> Iterator[Coded]:
    for file, call, _ in _every_call(PACKAGE):
        if _name(call) not in words_at or not _is_coded(call, words_at):
            continue
        code, words, *remedy = (text for i in range(len(call.args)) if (text := _text(call, i)))
        given = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
        more = any(keyword.arg is None for keyword in call.keywords)
        place = f"{file.relative_to(ROOT)}:{call.lineno}"
        yield Coded(code, words, "".join(remedy), place, given, more)


@cache
def _every_call(package: Path) -> tuple[tuple[Path, ast.Call, str | None], ...]:
    """(file, call, what the function is called in which it stands; of `__init__`, the class).

    Of what makes faults or messages alone.
    """
    return tuple(
        (file, node, owner)
        for file in sorted(package.rglob("*.py"))
        for node, owner in _walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _name(node) in MAKERS and not _is_another(node)
    )


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, str | None]]:
    """Every node, in the order of the source, and the function or class in which it stands."""
    waiting: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while waiting:
        node, owner = waiting.pop()
        yield node, owner
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name != "__init__":
            owner = node.name
        waiting += [(child, owner) for child in reversed([*ast.iter_child_nodes(node)])]


def _is_another(call: ast.Call) -> bool:
    """Whether this is the `add` of anything but `faults`, or a translator's `message`."""
    if not isinstance(call.func, ast.Attribute):
        return False
    of = ast.unparse(call.func.value)
    return call.func.attr == "message" or (call.func.attr == "add" and not of.endswith("faults"))


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(call: ast.Call, index: int) -> str | None:
    """An argument, if it is a literal text."""
    argument = call.args[index] if index < len(call.args) else None
    literal = argument.value if isinstance(argument, ast.Constant) else None
    return literal if isinstance(literal, str) else None


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
