"""Plain text files: one record per line."""

from __future__ import annotations

from welltuned.data.config import DataConfig
from welltuned.data.readers.decoding import decode
from welltuned.data.table import Table
from welltuned.errors import Faults


def read_lines(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """The lines that are not blank. A task may read more into them."""
    text = decode(raw, name, faults)
    if text is None:
        return None
    numbered = [pair for pair in enumerate(text.split("\n"), 1) if pair[1].strip()]
    lines = [line.rstrip("\r") for _, line in numbered]
    return Table(name, {"text": lines}, [number for number, _ in numbered])
