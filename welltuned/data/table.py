"""Table: the columns of one file, with the line each record starts at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from welltuned.data.readings import Reading
from welltuned.errors import Place
from welltuned.schema.messages import Message

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing"),
}
"""The names that files and data sets use for each split."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and the line (or row) each record starts at."""

    source: str
    columns: Mapping[str, Sequence[Any]]
    lines: list[int]
    notes: tuple[Message, ...] = field(default=())
    readings: tuple[Reading, ...] = field(default=())
    """How doubtful things in the file were read."""
    settled: tuple[Reading, ...] = field(default=())
    """How the training file was read, which holds for the others, too."""
    decimal: Literal["auto", "point", "comma"] = "auto"
    """The decimal mark that the user says numbers have."""
    prompt_in_answers: Literal["auto", "remove", "keep"] = "auto"
    """What the user says is to be done with a prompt that its answers repeat."""
    blank_lines: tuple[int, ...] = ()
    """Lines of rows without a filled cell that stand between others, and were left out."""
    questions: bool = False
    """Whether each row is to be answered by itself: none is left out or joined with another."""
    mapped: bool = False
    """Whether the columns bear the names of their roles already, as conversions leave them."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, index: int, column: int | None = None) -> Place:
        return Place(self.source, self.lines[index], column)
