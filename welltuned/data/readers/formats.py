"""File formats by suffix, and reading one file."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

from welltuned.data.config import DataConfig
from welltuned.data.layouts.nested import with_nested
from welltuned.data.readers.conll import read_conll
from welltuned.data.readers.delimited import read_csv, read_tsv
from welltuned.data.readers.excel import read_excel
from welltuned.data.readers.json_records import read_json
from welltuned.data.readers.parquet import read_parquet
from welltuned.data.readers.plain_text import read_lines
from welltuned.data.readers.streamed import read_streamed
from welltuned.data.storage import on_disk
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

FORMATS: dict[str, Callable[[bytes, str, DataConfig, Faults], Table | None]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".json": read_json,
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".parquet": read_parquet,
    ".xlsx": read_excel,
    ".xlsm": read_excel,
    ".conll": read_conll,
    ".iob": read_conll,
    ".bio": read_conll,
    ".txt": read_lines,
}
"""The reader of each format, by suffix."""


ReadPath = Callable[[Path, str, DataConfig, Faults], Table | None]
"""As `read_path`, or what remembers tables that it has read."""


def read_path(path: Path, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """The table of one file; None when it could not be read, with the faults recorded."""
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        faults.add(
            "data.type_unsupported",
            "unsupported file type '{suffix}'",
            Place(name),
            "use one of: {known}",
            suffix=path.suffix or "without suffix",
            known=", ".join(FORMATS),
        )
        return None
    try:
        table = read_streamed(path, name, config) if path.stat().st_size >= on_disk.LARGE else None
        if table is not None:
            return with_nested(table, config.named_columns)
        raw = path.read_bytes()
    except OSError as error:
        faults.add(
            "data.file_unreadable",
            "cannot read the file: {reason}",
            Place(name),
            "check the path and its permissions",
            reason=error.strerror,
        )
        return None
    if not raw.removeprefix(codecs.BOM_UTF8).strip():
        faults.add("data.file_empty", "the file is empty", Place(name), "give a file with rows")
        return None
    before = len(faults)
    table = reader(raw, name, config, faults)
    if not table and len(faults) == before:
        faults.add("data.no_rows", "the file has no rows", Place(name), "give a file with rows")
        return None
    return table and with_nested(table, config.named_columns)
