"""Facts about data: what was read, left out, cut and doubted, for people and for `data.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from welltuned.data.readings import Reading
from welltuned.data.table import SPLITS, Table
from welltuned.schema.messages import Message, message

_SHOWN = 5


@dataclass
class SplitFacts:
    """What is known of one split."""

    source: str
    rows: int = 0
    empty: int = 0
    repeats: int = 0
    conflicts: int = 0
    fingerprint: str = ""


@dataclass
class DataFacts:
    """What is known of the data: written to `data.json`, shown in terminal and report."""

    columns: dict[str, str] = field(default_factory=dict)
    unused_columns: list[str] = field(default_factory=list)
    splits: dict[str, SplitFacts] = field(default_factory=dict)
    cut: dict[str, Any] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)
    """Of `data.groups`: by what, how many and how large; empty where nothing is grouped."""
    task: dict[str, Any] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    """How doubtful things were read."""
    notes: list[Message] = field(default_factory=list)
    """What a person should know."""

    def note(self, code: str, text: str, /, **values: object) -> None:
        """Add a sentence that a person should read; the text is a template of the values."""
        self.notes.append(message(code, text, **values))

    @property
    def said(self) -> list[Message]:
        """Readings and notes, as people are told them."""
        return [*(reading.said for reading in self.readings), *self.notes]

    @property
    def fingerprint(self) -> str:
        """One hash of all splits as they were used."""
        return hashlib.sha256(
            "".join(self.splits[name].fingerprint for name in SPLITS).encode()
        ).hexdigest()[:32]

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "fingerprint": self.fingerprint}


def some_lines(lines: Sequence[object]) -> str:
    """The first of many lines, for people."""
    return ", ".join(map(str, lines[:_SHOWN])) + (", …" if len(lines) > _SHOWN else "")


def layout_messages(table: Table, title: str, columns: Mapping[str, str]) -> Iterator[Message]:
    """How a file's columns were recognised, and which were not read."""
    yield message(
        "data.read_as_layout",
        "{source}: read as {title}: {columns}.",
        source=table.source,
        title=title,
        columns=", ".join(columns.values()),
    )
    unread = [column for column in table.columns if column not in columns.values()]
    if unread:
        yield message(
            "data.columns_not_read",
            "{source}: columns not read: {columns}.",
            source=table.source,
            columns=", ".join(unread),
        )
