"""The page of readings: every kind of doubt about a file, what decides it, and the key that does.

`make readings` writes `docs/readings.md`, and `tests/docs/test_readings.py` holds it equal.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import welltuned.data
import welltuned.tasks
from welltuned.data.readings import QUESTIONS, Question

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/readings.md"

_OPENING = """# Readings

Written by `make readings` from the source; a test holds it equal.

Where a file can be read in two ways, one is picked by the evidence below. What was picked, by what
evidence and which key says otherwise is one line of `welltuned data`, of the terminal and of the
report, and is stored in `data.json` under `readings`. Where the evidence is weak, nothing is
picked: an error asks for the key, before a model is loaded.
"""


def questions() -> list[Question]:
    """Every kind of doubt, wherever it is defined."""
    for package in (welltuned.data, welltuned.tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return [QUESTIONS[name] for name in sorted(QUESTIONS)]


def page() -> str:
    """`docs/readings.md`."""
    rows = [f"| {one.asks} | {_cell(one.evidence)} | `{one.key}` |" for one in questions()]
    head = ["| question | what decides | key |", "|---|---|---|"]
    return "\n".join([_OPENING, *head, *rows]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
