"""Models that are proposed where none is named, from the table in `proposals.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

Wanted = Literal["encoder", "decoder", "static"]
"""What is proposed: a base model of a kind, or a static embedding."""
_EVERY_LANGUAGE = "other"
"""Models of many languages, which come last where a language has models of its own."""


@dataclass(frozen=True)
class Proposal:
    """A model by its name on the Hub, and why it is proposed."""

    name: str
    why: str
    packages: tuple[str, ...] = ()
    """Python packages that hold the same model."""
    install: str = ""
    """What brings it here."""


def proposals_for(wanted: Wanted, language: str, examples: int) -> list[Proposal]:
    """All that suit so many training examples in a language, the most suitable one first."""
    sizes = ("few", "many") if examples <= _table()["few"] else ("many", "few")
    return list(dict.fromkeys(_read(wanted, language, sizes)))


def most_proposed() -> int:
    """How many models are taken at most."""
    return int(_table()["take"])


def _read(wanted: Wanted, language: str, sizes: tuple[str, ...]) -> Iterator[Proposal]:
    table = _table()
    for spoken in (language, _EVERY_LANGUAGE):
        lists = table[wanted].get(spoken, {})
        for entry in (entry for size in sizes for entry in lists.get(size, ())):
            yield Proposal(
                name=entry["name"],
                why=table["reasons"][entry["why"]],
                packages=tuple(entry.get("packages", ())),
                install=entry.get("install", f"hf download {entry['name']}"),
            )


@cache
def _table() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("proposals.yaml").read_text(encoding="utf-8"))
