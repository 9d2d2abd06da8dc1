"""Rows of cells, as CSV and spreadsheets hold them, as a table with named columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from welltuned.data.config import DataConfig
from welltuned.data.readers.header import Cells, read_header
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

Row = tuple[int, Cells]
"""The line a row starts at, and its cells."""


def table_of(
    rows: Sequence[Row], name: str, config: DataConfig, mend: str, faults: Faults
) -> Table | None:
    """A table of rows, the first of which may name the columns.

    Blank rows, and blank columns without a name, are left out and counted. Rows of another width
    (which `mend` mends) and repeated names are faults. None where there is no header to be had.
    """
    full = [row for row in rows if not _is_blank_row(row[1])]
    if not full:
        return Table(name, {}, [])
    place = Place(name, full[0][0])
    header = read_header([cells for _, cells in full], place, config, faults)
    if header is None:
        return None
    body = full if header.is_row else full[1:]
    width = len(header.names)
    fitting = [row for row in body if _fits(row, width, name, mend, faults)]
    kept = [at for at in range(width) if header.names[at] or not _is_blank_column(fitting, at)]
    if _refuse_repeated([(at, header.names[at]) for at in kept], place, faults):
        return None
    widest = max((len(cells) for _, cells in fitting), default=width)
    return Table(
        name,
        {header.names[at]: [cells[at] for _, cells in fitting] for at in kept},
        [line for line, _ in fitting],
        tuple(_left_out(len(rows) - len(full), max(widest, width) - len(kept), name)),
        header.readings,
        blank_lines=tuple(
            line for line, cells in rows if _is_blank_row(cells) and full[0][0] < line < full[-1][0]
        ),
    )


def is_blank(cell: object) -> bool:
    """Nothing, or white space."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _is_blank_row(cells: Cells) -> bool:
    """Cells that hold nothing; a single one may be an empty text."""
    return len(cells) > 1 and all(map(is_blank, cells))


def _is_blank_column(rows: Sequence[Row], at: int) -> bool:
    return all(is_blank(cells[at]) for _, cells in rows)


def _fits(row: Row, width: int, name: str, mend: str, faults: Faults) -> bool:
    """Whether a row has a cell for each column; those beyond them must be blank."""
    line, cells = row
    if len(cells) >= width and all(map(is_blank, cells[width:])):
        return True
    faults.add_counted(
        "data.csv_width",
        "{found} cells where the header has {expected}",
        Place(name, line, min(len(cells), width) + 1),
        "{remedy}",
        found=len(cells),
        expected=width,
        remedy=mend,
    )
    return False


def _refuse_repeated(names: Sequence[tuple[int, str]], place: Place, faults: Faults) -> bool:
    """Record every name that another column has already; whether there are any."""
    seen: set[str] = set()
    for at, column in names:
        if column in seen:
            faults.add(
                "data.column_repeated",
                "duplicate column '{column}' in the header",
                Place(place.source, place.line, at + 1),
                "rename one of them",
                column=column,
            )
        seen.add(column)
    return len(seen) < len(names)


def _left_out(rows: int, columns: int, name: str) -> Iterator[Message]:
    if rows:
        yield message(
            "data.blank_rows_left_out",
            "{source}: rows without a filled cell, left out: {number:,}.",
            source=name,
            number=rows,
        )
    if columns:
        yield message(
            "data.blank_columns_left_out",
            "{source}: columns without a name or a filled cell, left out: {number:,}.",
            source=name,
            number=columns,
        )
