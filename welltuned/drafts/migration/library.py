"""What is asked of each library: its table of keys, and where its configs say the data are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from welltuned.data.readers.formats import FORMATS
from welltuned.drafts.migration.findings import KeyFinding
from welltuned.drafts.migration.rules import KeyTable, read_table
from welltuned.errors import Faults, Place
from welltuned.schema.document import Document
from welltuned.schema.local_path import is_local_path

_TURN_KEYS = ({"role", "from"}, {"content", "value"})
"""What turns of a conversation may call their speaker and what is said."""


@dataclass(frozen=True)
class ForeignConfig:
    """A config of another library, as it is written."""

    document: Document
    file: Path

    @property
    def values(self) -> Mapping[str, Any]:
        return self.document.values

    def get(self, key: str) -> Any:
        """The value of a key at the top; None where it is empty or not there."""
        return self.values.get(key)

    def place(self, *path: object) -> Place:
        return self.document.place([str(key) for key in path])


class Library(ABC):
    """A library whose configs can be carried over."""

    table_name: ClassVar[str]

    @property
    def table(self) -> KeyTable:
        return read_table(self.table_name)

    def defaults(self, foreign: ForeignConfig, task: str) -> Mapping[str, object]:
        """What the library takes where nothing is given, for a task of ours."""
        return self.table.defaults_for(task)

    @abstractmethod
    def find_data(self, foreign: ForeignConfig, task: str, faults: Faults) -> Iterator[KeyFinding]:
        """The keys that say which data are learned from; what is lost of them is recorded."""


def as_data(name: str) -> str:
    """A data set as it is named here: a path where it is one, else `hub:NAME`."""
    is_file = is_local_path(name) or Path(name).suffix.lower() in FORMATS
    return name if is_file or Path(name).expanduser().exists() else f"hub:{name}"


def mapped_column(
    key: str, column: object, place: Place, role: str | None, task: str
) -> KeyFinding | None:
    """A column that has a role; None where it has none, or is called as the role is."""
    if column in (None, ""):
        return None
    if role is None:
        note = f"{task.replace('_', ' ')} reads no such column here"
        return KeyFinding(key, column, place, "left", note=note)
    if column == role:
        return KeyFinding(key, column, place, "nothing", note="recognised by its name")
    return KeyFinding(key, column, place, "carried", f"data.columns.{role}", column)


def check_turns(speaker: object, said: object, place: Place, faults: Faults) -> None:
    """Record turns of conversations whose keys are not known here."""
    for given, known in zip((speaker, said), _TURN_KEYS, strict=True):
        if given is not None and given not in known:
            faults.add(
                "migrate.turns_named_otherwise",
                "the turns of its conversations have the key '{given}'",
                place,
                "rename it in the data: {known}",
                given=given,
                known=" or ".join(sorted(known)),
            )


def only_first(names: Sequence[object], what: str, place: Place, faults: Faults) -> None:
    """Record that a run learns from one data set where several are named."""
    if len(names) > 1:
        faults.add(
            "migrate.several_datasets",
            "'{what}' names {number} data sets, and a run learns from one",
            place,
            "join them into one file, and name it on the line: data.train=FILE",
            what=what,
            number=len(names),
        )
