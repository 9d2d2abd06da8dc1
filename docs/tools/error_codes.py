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
FAULTS = ("Fault", "add", "add_counted", "conflict", "Unreadable", "fault", "_refuse")
"""What is called with a code, the words, a place where there is one, and a remedy."""

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
    return tuple(_calls(FAULTS))


@cache
def messages() -> tuple[Coded, ...]:
    """Every message that reports translate."""
    return tuple(_calls(("message",)))


def uncoded() -> Iterator[str]:
    """Where a fault or a message is made without a literal code and literal words."""
    for file, call in _every_call((*FAULTS, "message")):
        first = _text(call.args[0]) if call.args else None
        if first is not None and (not CODE.fullmatch(first) or len(_texts(call)) < 2):
            yield _place(file, call)


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


def _calls(names: tuple[str, ...]) -> Iterator[Coded]:
    for file, call in _every_call(names):
        texts = _texts(call)
        if len(texts) > 1 and CODE.fullmatch(texts[0]):
            given = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
            more = any(keyword.arg is None for keyword in call.keywords)
            remedy = "".join(texts[2:])
            yield Coded(texts[0], texts[1], remedy, _place(file, call), given, more)


def _every_call(names: tuple[str, ...]) -> Iterator[tuple[Path, ast.Call]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node) in names:
                yield file, node


def _texts(call: ast.Call) -> list[str]:
    return [text for argument in call.args if (text := _text(argument)) is not None]


def _place(file: Path, call: ast.Call) -> str:
    return f"{file.relative_to(ROOT)}:{call.lineno}"


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
