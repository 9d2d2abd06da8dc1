"""Reading one file in tests of readers, and following the remedy of its fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from faults import codes, full
from welltuned.data.config import DataConfig
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults


def read(path: Path, content: str | bytes | None = None, **config: Any) -> Any:
    """(table or None, faults as places, codes and values)."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path), **config), faults)
    return table, full(faults)


def attempt(path: Path, content: str | bytes, **config: Any) -> tuple[Table | None, list[Fault]]:
    """The table of a file written so, and the faults."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return again(path, **config)


def again(path: Path, **config: Any) -> tuple[Table | None, list[Fault]]:
    """The table of a file that is there."""
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path), **config), faults)
    return table, list(faults)


def table_of_file(path: Path, content: str | bytes, **config: Any) -> Table:
    """The table of a file written so, which has no fault."""
    table, faults = attempt(path, content, **config)
    assert faults == [] and table is not None
    return table


def fault_of_file(path: Path, content: str | bytes, code: str, **config: Any) -> Fault:
    """The only fault of a file written so."""
    _, faults = attempt(path, content, **config)
    assert codes(faults) == [code]
    return faults[0]


def remedies(fault: Fault) -> list[dict[str, str]]:
    """The keys of `data:` that a remedy names with a value, each as keywords of the config."""
    return [
        {key: value.rstrip(".,;")}
        for key, value in re.findall(r"data\.([a-z_]+)=([\w./-]+)", fault.remedy)
        if value.islower() or not value.isupper()
    ]


def answers(table: Table | None) -> dict[str, str]:
    """What was picked in answer to each question."""
    assert table is not None
    return {reading.question: reading.picked for reading in table.readings}
