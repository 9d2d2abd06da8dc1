"""CSV and TSV files."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace

from welltuned.data.config import DataConfig
from welltuned.data.readers.cells import Row, table_of
from welltuned.data.readers.decoding import decode
from welltuned.data.readers.line_ends import (
    count_bare,
    split_lines,
    tell_mixed,
    tell_text,
)
from welltuned.data.readings import Reading
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

_STATED = re.compile(r"sep=([,;\t|])[\r\n]")
"""The line that Excel puts before the header to state the separator."""


def read_csv(
    raw: bytes, name: str, config: DataConfig, faults: Faults, tab: bool = False
) -> Table | None:
    """A table whose first row may name its columns. Ragged rows and broken quotes are faults."""
    decoded = decode(raw, name, config, faults)
    if decoded is None:
        return None
    quoted = config.quoting == "standard" or (config.quoting == "auto" and not tab)
    stated = _STATED.match(decoded.text)
    delimiter = stated[1] if stated else "\t" if tab else delimiter_of(decoded.text)
    rows, ends = _read_rows(decoded.text, delimiter, quoted, name, config, faults)
    rows = rows[1:] if stated else rows
    if not rows or _refuse_blank_header(rows, name, config, faults):
        return None
    mend = "quote cells that contain the separator" if quoted else "remove stray tabs"
    table = table_of([row for row in rows if row[1]], name, config, mend, faults)
    if table is None:
        return None
    notes = () if tab or delimiter == "," else (separated_by(delimiter, name),)
    readings = (*decoded.readings, *ends, *table.readings)
    return replace(table, notes=(*notes, *table.notes), readings=readings)


def read_tsv(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """As CSV, separated by tabs; quotation marks are text unless `data.quoting` says otherwise."""
    return read_csv(raw, name, config, faults, tab=True)


def separated_by(delimiter: str, name: str) -> Message:
    """What is said where columns are separated by something else than commas."""
    return message(
        "data.separated_by",
        "{source}: columns are separated by {mark}.",
        source=name,
        mark=repr(delimiter),
    )


def delimiter_of(text: str) -> str:
    """The separator that gives the header the most columns; a comma when none does."""
    header = text.replace("\r", "\n").split("\n", 1)[0]
    counts = {mark: len(next(csv.reader([header], delimiter=mark))) for mark in ",;\t|"}
    return max(counts, key=lambda mark: (counts[mark], mark == ","))


def _refuse_blank_header(rows: list[Row], name: str, config: DataConfig, faults: Faults) -> bool:
    """Record that the names of the columns should stand where there is nothing."""
    if rows[0][1] or config.header is False:
        return False
    faults.add(
        "data.csv_blank_header",
        "the first line is blank",
        Place(name, 1),
        "begin with the names of the columns",
    )
    return True


# --- Rows --------------------------------------------------------------------------


def _read_rows(
    text: str, delimiter: str, quoted: bool, name: str, config: DataConfig, faults: Faults
) -> tuple[list[Row], tuple[Reading, ...]]:
    """The cells of each row, by the line ends that fit, and what is to be said of these."""
    read = _quoted_rows if quoted else _plain_rows
    only_lf = config.model_copy(update={"line_ends": "lf"})
    rows = read(text, delimiter, name, config, found := Faults())
    if config.line_ends == "auto" and count_bare(text, _texts(rows)):
        others = read(text, delimiter, name, only_lf, Faults())
        if _ragged(others) < _ragged(rows):
            return read(text, delimiter, name, only_lf, faults), (tell_text(text, name),)
    faults.extend(found)
    return rows, tell_mixed(text, name, config, _texts(rows))


def _texts(rows: list[Row]) -> Iterator[str]:
    return (str(cell) for _, cells in rows for cell in cells)


def _ragged(rows: list[Row]) -> int:
    """How many rows have another number of cells than the first."""
    return sum(len(cells) != len(rows[0][1]) for _, cells in rows if cells)


def _plain_rows(
    text: str, delimiter: str, name: str, config: DataConfig, faults: Faults
) -> list[Row]:
    """The cells of each line, in which quotation marks are text."""
    lines = split_lines(text, name, config).numbered
    return [(number, line.split(delimiter) if line else []) for number, line in lines]


def _quoted_rows(
    text: str, delimiter: str, name: str, config: DataConfig, faults: Faults
) -> list[Row]:
    """The cells of each row and the line it starts at, up to where quotes break."""
    absent = next(one for one in map(chr, range(0xFDD0, sys.maxunicode)) if one not in text)
    if config.line_ends == "lf":  # the `csv` module would end a row there
        text = re.sub(r"\r(?!\n)", absent, text)
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    start = 1
    try:
        for cells in reader:
            rows.append((start, [cell.replace(absent, "\r") for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as error:
        _refuse_quotes(error, start, name, faults)
    return rows


def _refuse_quotes(error: csv.Error, line: int, name: str, faults: Faults) -> None:
    if line == 1:
        faults.add(
            "data.csv_bad_header",
            "malformed header: {reason}",
            Place(name, 1),
            "close or double the quotation marks",
            reason=error,
        )
    else:
        faults.add(
            "data.csv_malformed",
            "malformed from here on: {reason}",
            Place(name, line),
            "close or double the quotation marks",
            reason=error,
        )
