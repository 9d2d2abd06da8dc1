"""The published figures, read and checked: a record is one run of one experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("peft_metamathqa.json")
COSTS = ("memory_bytes", "seconds", "file_bytes", "forgetting")
"""What less is better of, in the order of the page."""


@dataclass(frozen=True)
class Record:
    """What was published of one run; None where a figure was not."""

    name: str
    experiment: str
    rerun: str
    """The month in which this software ran."""
    accuracy: float
    """A share of the questions."""
    questions: int
    commit: str | None = None
    rounded: bool = False
    """Whether `accuracy` is known to a tenth of a point only."""
    forgetting: float | None = None
    """Rise of the cross-entropy on Wikipedia, in nats a token."""
    unmended: float | None = None
    """The same before its measuring was mended: not comparable, kept to show that."""
    memory_bytes: int | None = None
    seconds: float | None = None
    file_bytes: int | None = None
    trainable: int | None = None

    @property
    def correct(self) -> int:
        """How many questions were answered right."""
        return round(self.accuracy * self.questions)

    def cost(self, name: str) -> float | None:
        """One of `COSTS`."""
        value = getattr(self, name)
        return None if value is None else float(value)


@dataclass(frozen=True)
class Published:
    """All records, with what they have in common."""

    questions: int
    source: Mapping[str, Any]
    """Where it was published, and what all runs had in common."""
    reruns: Mapping[str, Mapping[str, str | None]]
    """The software of each, by month."""
    records: Sequence[Record]

    def of(self, *reruns: str) -> list[Record]:
        """The records of some reruns, best first."""
        found = [record for record in self.records if record.rerun in reruns]
        return sorted(found, key=lambda record: -record.correct)

    def one(self, name: str, rerun: str) -> Record:
        """The record of an experiment in a rerun."""
        return next(record for record in self.of(rerun) if record.name == name)

    def address(self, record: Record) -> str | None:
        """Where the record's file is; None where it was not read."""
        if record.commit is None:
            return None
        file = record.experiment.replace("/", "--")
        folder = f"{self.source['repository']}/blob/{record.commit}/{self.source['folder']}"
        return f"{folder}/{file}.json"


def read(file: Path = FILE) -> Published:
    """The records of a file; `ValueError` for an accuracy that is no share of the questions."""
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    questions = int(held["source"]["questions"])
    records = [Record(questions=questions, **record) for record in held["records"]]
    for record in records:
        off = abs(record.accuracy * questions - record.correct)
        if off > 1e-6 and not record.rounded:
            raise ValueError(f"{record.name}: {record.accuracy} is no share of {questions}")
        if record.rerun not in held["reruns"]:
            raise ValueError(f"{record.name}: nothing is known of the rerun {record.rerun}")
    return Published(questions, held["source"], held["reruns"], records)
