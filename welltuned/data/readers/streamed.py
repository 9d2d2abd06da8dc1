"""Large files, row by row: JSON lines, CSV, TSV and Parquet, with their texts on disk.

Only what is beyond doubt is read so: UTF-8, a record a line, rows as wide as their header. At the
first thing that is otherwise, reading is left to the format's own reader, which knows what it is.
So a table is the same whichever way it was read.
"""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.readers.cells import is_blank
from welltuned.data.readers.class_names import name_classes
from welltuned.data.readers.delimited import delimiter_of, separated_by
from welltuned.data.readers.header import read_header
from welltuned.data.readers.json_nodes import decoded
from welltuned.data.readers.parquet import names_of_classes
from welltuned.data.storage.on_disk import TextColumn, TextFile, cells_but_texts
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message
from welltuned.schema.units import size_text

AT_ONCE = 10_000
"""Rows that are held together. By the first of them is decided which columns hold texts."""
_SHARED = 100_000
"""So many different texts of a column in memory are held once each."""


class _DoubtError(Exception):
    """Something that the format's own reader is to look at."""


def read_streamed(path: Path, name: str, config: DataConfig) -> Table | None:
    """The table of a file; None where its own reader has to read it, in memory."""
    read = _READERS.get(path.suffix.lower())
    if read is None or config.encoding != "auto" or config.line_ends != "auto":
        return None
    try:
        table = read(path, name, config)
        return replace(table, notes=(*table.notes, kept_on_disk(name, path.stat().st_size)))
    except (_DoubtError, UnicodeDecodeError, OSError):  # or no place for its texts
        return None


def kept_on_disk(name: str, size: int) -> Message:
    """What is said where a table is not held in memory."""
    return message(
        "data.kept_on_disk",
        "{source}: {size}, read row by row; its texts are kept on disk while they are needed.",
        source=name,
        size=size_text(size),
    )


# --- Columns ---------------------------------------------------------------------------


class Columns:
    """Columns that grow by many rows at a time; those of texts, most of which differ, on disk."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._rows = 0

    def add(self, cells: Mapping[str, Sequence[object]], rows: int) -> None:
        """More rows; what one of them lacks is None."""
        for name in cells:
            if name not in self._columns:
                self._columns[name] = _Column(self._rows)
        for name, column in self._columns.items():
            column.add(cells.get(name, [None] * rows))
        self._rows += rows

    def done(self) -> dict[str, Sequence[Any]]:
        """All columns; nothing is added afterwards."""
        return {name: column.done() for name, column in self._columns.items()}


class _Column:
    def __init__(self, lacking: int) -> None:
        self._cells: list[Any] = [None] * lacking
        self._shared: dict[str, str] = {}
        self._file: TextFile | None = None
        self._others: dict[int, Any] = dict.fromkeys(range(lacking))
        self._is_decided = False

    def add(self, cells: Sequence[object]) -> None:
        if not self._is_decided:
            self._is_decided = True
            texts = [cell for cell in cells if isinstance(cell, str)]
            if 2 * len(set(texts)) > len(cells):
                self._file = TextFile()
                self._file.add([""] * len(self._cells))
                self._cells = []
        if self._file is None:
            self._cells += map(self._held_once, cells)
        else:
            first = len(self._file)
            self._others.update((first + at, cell) for at, cell in cells_but_texts(cells))
            self._file.add([cell if isinstance(cell, str) else "" for cell in cells])

    def _held_once(self, cell: object) -> object:
        """The same cell, and the same object for equal texts while they are few."""
        if isinstance(cell, str) and len(self._shared) < _SHARED:
            return self._shared.setdefault(cell, cell)
        return cell

    def done(self) -> Sequence[Any]:
        if self._file is None:
            return self._cells
        self._file.done()
        return TextColumn(self._file, self._others)


# --- JSON lines ------------------------------------------------------------------------


def _read_json_lines(path: Path, name: str, config: DataConfig) -> Table:
    if config.json_path is not None:
        raise _DoubtError
    columns, lines = Columns(), list[int]()
    records = _records(path)
    while part := list(islice(records, AT_ONCE)):
        lines += [line for line, _ in part]
        names = dict.fromkeys(key for _, record in part for key in record)
        cells = {key: [record.get(key) for _, record in part] for key in names}
        columns.add(cells, len(part))
    return _table(name, columns, lines)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        if line.isspace():
            continue
        try:
            record = decoded(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _DoubtError from error
        if not isinstance(record, dict):
            raise _DoubtError
        yield number, record


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their ends and numbers, of a file whose ends are LF or CRLF."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if b"\0" in raw or (b"\r" in raw and b"\r" in raw.removesuffix(b"\r\n")):
                raise _DoubtError
            line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                raise _DoubtError
            yield number, line.decode()


# --- CSV and TSV -----------------------------------------------------------------------


def _read_csv(path: Path, name: str, config: DataConfig) -> Table:
    first = next((line for _, line in _lines(path)), "")
    if first.startswith("sep="):
        raise _DoubtError
    delimiter = delimiter_of(first.rstrip("\r\n"))
    notes = () if delimiter == "," else (separated_by(delimiter, name),)
    quoted = config.quoting != "none"
    return replace(_read_rows(_rows(path, delimiter, quoted), name, config), notes=notes)


def _read_tsv(path: Path, name: str, config: DataConfig) -> Table:
    return _read_rows(_rows(path, "\t", config.quoting == "standard"), name, config)


def _rows(path: Path, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that have a cell, with the line each starts at."""
    lines = (line for _, line in _lines(path))
    if not quoted:
        bare = (line.rstrip("\r\n") for line in lines)
        rows = ((i, line.split(delimiter) if line else []) for i, line in enumerate(bare, 1))
        yield from (row for row in rows if row[1] or row[0] == 1)
        return
    csv.field_size_limit(sys.maxsize)
    reader, start = csv.reader(lines, delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            if cells or start == 1:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise _DoubtError from error


def _read_rows(rows: Iterator[tuple[int, list[str]]], name: str, config: DataConfig) -> Table:
    first = list(islice(rows, AT_ONCE))
    if not first or not first[0][1]:
        raise _DoubtError  # a blank line where names should be
    header = read_header([cells for _, cells in first], Place(name, first[0][0]), config, Faults())
    if header is None or not all(header.names) or len(set(header.names)) < len(header.names):
        raise _DoubtError
    rows = chain(first if header.is_row else first[1:], rows)
    columns, lines = Columns(), list[int]()
    while part := list(islice(rows, AT_ONCE)):
        if any(not _fits(cells, len(header.names)) for _, cells in part):
            raise _DoubtError
        lines += [line for line, _ in part]
        cells = {one: [row[at] for _, row in part] for at, one in enumerate(header.names)}
        columns.add(cells, len(part))
    return replace(_table(name, columns, lines), readings=header.readings)


def _fits(cells: Sequence[str], width: int) -> bool:
    return len(cells) == width and (width == 1 or not all(map(is_blank, cells)))


# --- Parquet -----------------------------------------------------------------------------


def _read_parquet(path: Path, name: str, config: DataConfig) -> Table:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise _DoubtError from error
    columns, rows = Columns(), 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            classes = names_of_classes(file.schema_arrow.metadata)
            for batch in file.iter_batches(batch_size=AT_ONCE):
                cells = batch.to_pydict()
                for column, names in classes.items():
                    cells[column] = [name_classes(cell, names) for cell in cells[column]]
                columns.add(cells, batch.num_rows)
                rows += batch.num_rows
    except Exception as error:  # its pages, texts and notes break in many ways
        raise _DoubtError from error
    return _table(name, columns, list(range(1, rows + 1)))


def _table(name: str, columns: Columns, lines: list[int]) -> Table:
    if not lines:
        raise _DoubtError
    return Table(name, columns.done(), lines)


_READERS: Mapping[str, Callable[[Path, str, DataConfig], Table]] = {
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
"""How each format is read row by row, by suffix."""
