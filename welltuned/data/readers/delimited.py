"""CSV and TSV files."""

from __future__ import annotations

import csv
import io
import sys
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.readers.decoding import decode
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message


def read_csv(
    raw: bytes, name: str, config: DataConfig, faults: Faults, tab: bool = False
) -> Table | None:
    """A table whose first line names its columns. Ragged rows and broken quotes are faults."""
    text = decode(raw, name, faults)
    if text is None:
        return None
    csv.field_size_limit(sys.maxsize)
    quoted = config.quoting == "standard" or (config.quoting == "auto" and not tab)
    delimiter = "\t" if tab else _delimiter(text)
    notes = [] if tab or delimiter == "," else [_separated_by(delimiter, name)]
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    header = _read_header(reader, name, faults)
    if header is None:
        return None
    mend = "quote cells that contain the separator" if quoted else "remove stray tabs"
    columns, starts = _read_rows(reader, header, name, mend, faults)
    if len(set(header)) != len(header):
        return None
    return Table(name, columns, starts, tuple(notes))


def _separated_by(delimiter: str, name: str) -> Message:
    return message(
        "data.separated_by",
        "{source}: columns are separated by {mark}.",
        source=name,
        mark=repr(delimiter),
    )


def _read_header(reader: Any, name: str, faults: Faults) -> list[str] | None:
    """The names of the columns; None where there are none. Repeated names are faults."""
    try:
        header = next(reader)
    except csv.Error as error:
        faults.add(
            "data.csv_bad_header",
            "malformed header: {reason}",
            Place(name, 1),
            "close or double the quotation marks",
            reason=error,
        )
        return None
    if not header:
        faults.add(
            "data.csv_blank_header",
            "the first line is blank",
            Place(name, 1),
            "begin with the names of the columns",
        )
        return None
    for position, column in enumerate(header):
        if column in header[:position]:
            faults.add(
                "data.column_repeated",
                "duplicate column '{column}' in the header",
                Place(name, 1, position + 1),
                "rename one of them",
                column=column,
            )
    return header


def _read_rows(
    reader: Any, header: list[str], name: str, mend: str, faults: Faults
) -> tuple[dict[str, list[Any]], list[int]]:
    """The cells by column and the line each row starts at; rows of another width are faults."""
    columns: dict[str, list[Any]] = {column: [] for column in header}
    starts: list[int] = []
    start = reader.line_num + 1
    try:
        for row in reader:
            if row and len(row) == len(header):
                starts.append(start)
                for column, cell in zip(header, row, strict=True):
                    columns[column].append(cell)
            elif row:
                faults.add_counted(
                    "data.csv_width",
                    "{found} cells where the header has {expected}",
                    Place(name, start, min(len(row), len(header)) + 1),
                    "{remedy}",
                    found=len(row),
                    expected=len(header),
                    remedy=mend,
                )
            start = reader.line_num + 1
    except csv.Error as error:
        faults.add(
            "data.csv_malformed",
            "malformed from here on: {reason}",
            Place(name, start),
            "close or double the quotation marks",
            reason=error,
        )
    return columns, starts


def read_tsv(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """As CSV, separated by tabs; quotation marks are text unless `data.quoting` says otherwise."""
    return read_csv(raw, name, config, faults, tab=True)


def _delimiter(text: str) -> str:
    """The separator that gives the header the most columns; a comma when none does."""
    header = text.replace("\r", "\n").split("\n", 1)[0]
    counts = {mark: len(next(csv.reader([header], delimiter=mark))) for mark in ",;\t|"}
    return max(counts, key=lambda mark: (counts[mark], mark == ","))
