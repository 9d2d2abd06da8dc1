"""Excel workbooks, through openpyxl: one sheet, whose row numbers are the lines of its rows."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from welltuned.data.config import DataConfig
from welltuned.data.readers.cells import Row, is_blank, table_of
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import message

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

SHEET = question(
    "sheet",
    asks="Which sheet of an Excel workbook holds the rows?",
    evidence="The first one that is not empty. Said where several are not.",
    key="data.sheet",
)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # how a workbook writes what XML cannot hold
_MOST_ROWS = 1_048_576
"""What a sheet may hold; a damaged number of a row would have no end of blank ones made."""
_FORMULA = re.compile(rb"<f[ >/]")


def read_excel(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """One sheet of a workbook. Cells of errors, and formulas without a saved value, are faults."""
    with _refusing_damage(name, faults):
        return _read(raw, name, config, faults)
    return None


def _read(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    book = _open(raw, name, faults)
    if book is None:
        return None
    sheets = {sheet.title: rows for sheet in book.worksheets if (rows := _rows_of(sheet))}
    chosen = _choose(sheets, [sheet.title for sheet in book.worksheets], name, config, faults)
    if chosen is None:
        return None
    _refuse_errors(book[chosen], name, faults)
    if _holds_formulas(raw):
        _refuse_unsaved(raw, chosen, sheets.get(chosen, []), name, faults)
    table = table_of(sheets.get(chosen, []), name, config, "fill or empty its cells", faults)
    others = [title for title in sheets if title != chosen]
    if table is None or not others or config.sheet is not None:
        return table
    return replace(table, readings=(_say(chosen, others, name), *table.readings))


def _open(raw: bytes, name: str, faults: Faults, values: bool = True) -> Workbook | None:
    """A workbook, with the values of formulas or with these themselves; None with a fault."""
    try:
        import openpyxl
    except ImportError:
        faults.add(
            "data.openpyxl_missing",
            "reading Excel files needs openpyxl",
            Place(name),
            "pip install 'welltuned[excel]'",
        )
        return None
    return openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=values)


@contextmanager
def _refusing_damage(name: str, faults: Faults) -> Iterator[None]:
    """Record that a file is no whole workbook, of which parts are read when they are needed."""
    try:
        yield
    except Exception as error:  # zip files, XML and workbooks break in many ways
        faults.add(
            "data.bad_excel",
            "not an Excel workbook (.xlsx): {reason}",
            Place(name),
            "save it again as .xlsx, or as CSV",
            reason=str(error).strip() or type(error).__name__,
        )


def _rows_of(sheet: Worksheet) -> list[Row]:
    """The rows of a sheet from the first to the last one with a filled cell, of equal width."""
    sheet.reset_dimensions()  # what is written of them is not always so
    rows = []
    for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > _MOST_ROWS:
            raise ValueError(f"a row beyond {_MOST_ROWS:,}")
        rows.append((number, [_plain(cell) for cell in cells]))
    while rows and all(map(is_blank, rows[-1][1])):
        rows.pop()
    width = max((len(cells) for _, cells in rows), default=0)
    return [(number, [*cells, *[None] * (width - len(cells))]) for number, cells in rows]


def _plain(cell: object) -> object:
    """A cell as text or number; dates as ISO 8601 writes them."""
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    if isinstance(cell, str):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell)
    return cell if cell is None or isinstance(cell, (bool, int, float)) else str(cell)


def _choose(
    full: dict[str, list[Row]], titles: list[str], name: str, config: DataConfig, faults: Faults
) -> str | None:
    """The sheet that is named, or else the first that is not empty; None where it is not there."""
    if config.sheet is None:
        return next(iter(full), titles[0] if titles else None)
    if config.sheet in titles:
        return config.sheet
    faults.add(
        "data.sheet_unknown",
        "the workbook has no sheet '{sheet}'",
        Place(name),
        "its sheets are: {titles}",
        sheet=config.sheet,
        titles=", ".join(titles),
    )
    return None


def _say(chosen: str, others: list[str], name: str) -> Reading:
    said = message(
        "data.sheet_chosen",
        "{source}: read from sheet '{sheet}', the first that is not empty; others are {others} "
        "(data.sheet=NAME reads another).",
        source=name,
        sheet=chosen,
        others=", ".join(others),
    )
    return read_as(SHEET, chosen, said)


# --- Cells without a value -------------------------------------------------------------


def _refuse_errors(sheet: Worksheet, name: str, faults: Faults) -> None:
    """Record every cell that holds an error such as `#N/A`."""
    for number, cells in enumerate(sheet.iter_rows(), 1):
        for at, cell in enumerate(cells, 1):
            if cell.data_type == "e":
                faults.add_counted(
                    "data.excel_error",
                    "the cell holds the error {error}",
                    Place(name, number, at),
                    "mend the formula, or write a value",
                    error=cell.value,
                )


def _holds_formulas(raw: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(raw)) as parts:
        sheets = (part for part in parts.namelist() if "worksheets/" in part)
        return any(_FORMULA.search(parts.read(part)) for part in sheets)


def _refuse_unsaved(raw: bytes, title: str, rows: list[Row], name: str, faults: Faults) -> None:
    """Record every formula whose value was not saved with it."""
    book = _open(raw, name, faults, values=False)
    if book is None:
        return
    values = dict(rows)
    for number, at in _formulas(book[title]):
        cells = values.get(number, [])
        if at > len(cells) or cells[at - 1] is None:
            faults.add_counted(
                "data.excel_formula_unsaved",
                "the value of the formula was not saved",
                Place(name, number, at),
                "open the workbook in a spreadsheet program and save it",
            )


def _formulas(sheet: Worksheet) -> Iterator[tuple[int, int]]:
    """The row and column of each formula."""
    for number, cells in enumerate(sheet.iter_rows(), 1):
        yield from ((number, at) for at, cell in enumerate(cells, 1) if cell.data_type == "f")
