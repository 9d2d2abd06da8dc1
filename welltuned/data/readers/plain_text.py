"""Plain text files: one record per line."""

from __future__ import annotations

from welltuned.data.config import DataConfig
from welltuned.data.readers.decoding import decode
from welltuned.data.readers.line_ends import split_lines
from welltuned.data.table import Table
from welltuned.errors import Faults


def read_lines(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """The lines that are not blank. A task may read more into them."""
    decoded = decode(raw, name, config, faults)
    if decoded is None:
        return None
    lines, readings = split_lines(decoded.text, name, config)
    full = [(number, line) for number, line in lines if line.strip()]
    return Table(
        name,
        {"text": [line for _, line in full]},
        [number for number, _ in full],
        readings=(*decoded.readings, *readings),
    )
