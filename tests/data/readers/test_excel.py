"""Excel workbooks: cells as they stand, the sheet that is meant, and cells without a value."""

from __future__ import annotations

import datetime
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from faults import brief, noted
from reading import answers, attempt, fault_of_file, remedies, table_of_file
from texts import texts
from welltuned.data.readers import excel

openpyxl = pytest.importorskip("openpyxl")


def workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    """A workbook of sheets of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


ROWS = [["text", "label"], ["one", "a"], ["two", "b"]]


def test_rows_have_the_numbers_of_the_sheet_and_blanks_are_left_out(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        [],
        ["text", "label", None],
        ["one", "a"],
        [None, None],
        ["two", "b", " "],
        [" "],
    ]
    table = table_of_file(tmp_path / "a.xlsx", workbook(Data=rows))
    assert table.columns == {"text": ["one", "two"], "label": ["a", "b"]}
    assert table.lines == [3, 5]
    assert noted(table.notes) == [
        "data.blank_rows_left_out source=a.xlsx number=2",
        "data.blank_columns_left_out source=a.xlsx number=1",
    ]


def test_numbers_stay_numbers_and_dates_are_written_out(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 2, 29)
    table = table_of_file(
        tmp_path / "a.xlsx",
        workbook(Data=[["text", "label", "day"], ["one", 1, day], ["two", 0, day]]),
    )
    assert table.columns["label"] == [1, 0]
    assert table.columns["day"] == ["2024-02-29T00:00:00"] * 2


def test_a_header_is_told_from_data_as_in_csv(tmp_path: Path) -> None:
    rows = [["a dull film, from its start to the end", "neg"], ["a great film, all of it", "pos"]]
    table = table_of_file(
        tmp_path / "a.xlsx", workbook(Data=[*rows, ["a weak one, also too long", "neg"]])
    )
    assert list(table.columns) == ["0", "1"] and table.lines == [1, 2, 3]
    assert answers(table) == {"header": "data"}


def test_the_first_sheet_that_is_not_empty_is_read_and_said(tmp_path: Path) -> None:
    content = workbook(Notes=[], Data=ROWS, More=[["text"], ["three"]])
    table = table_of_file(tmp_path / "a.xlsx", content)
    assert table.columns["text"] == ["one", "two"] and answers(table) == {"sheet": "Data"}
    named = table_of_file(tmp_path / "a.xlsx", content, sheet="More")
    assert named.columns == {"text": ["three"]} and named.readings == ()
    alone = table_of_file(tmp_path / "a.xlsx", workbook(Notes=[], Data=ROWS))
    assert alone.readings == ()


def test_a_sheet_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    content = workbook(Data=ROWS, More=ROWS)
    fault = fault_of_file(tmp_path / "a.xlsx", content, "data.sheet_unknown", sheet="2")
    assert fault.values["titles"] == "Data, More"


def test_a_workbook_without_rows_is_refused(tmp_path: Path) -> None:
    fault_of_file(tmp_path / "a.xlsx", workbook(Data=[], More=[]), "data.no_rows")


def test_errors_and_formulas_without_a_value_are_told_with_their_cells(tmp_path: Path) -> None:
    rows = [["text", "label"], ["one", "#N/A"], ["two", "=1+1"]]
    _, faults = attempt(tmp_path / "a.xlsx", workbook(Data=rows))
    assert brief(faults) == [
        "a.xlsx:2:2 data.excel_error",
        "a.xlsx:3:2 data.excel_formula_unsaved",
    ]


def test_what_is_escaped_in_the_workbook_is_the_character_itself(tmp_path: Path) -> None:
    table = table_of_file(tmp_path / "a.xlsx", workbook(Data=[["text"], ["one_x000D_\ntwo"]]))
    assert table.columns["text"] == ["one\r\ntwo"]


def test_what_only_calls_itself_a_workbook_is_refused(tmp_path: Path) -> None:
    fault_of_file(tmp_path / "a.xlsx", "text,label\none,a\n", "data.bad_excel")


def test_without_openpyxl_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    fault = fault_of_file(tmp_path / "a.xlsx", workbook(Data=ROWS), "data.openpyxl_missing")
    assert fault.remedy == "pip install 'welltuned[excel]'" and remedies(fault) == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)
@given(some.lists(texts.filter(lambda text: "\r" not in text), min_size=1, max_size=5))
def test_a_workbook_gives_back_what_was_written(tmp_path: Path, rows: list[str]) -> None:
    """But for CR, which XML reads as LF."""
    content = workbook(Data=[["text", "label"], *([text, "a"] for text in rows)])
    assert table_of_file(tmp_path / "a.xlsx", content).columns["text"] == rows


def _changed(raw: bytes, old: bytes, new: bytes) -> bytes:
    """A workbook in whose first sheet something stands otherwise."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as parts, zipfile.ZipFile(held, "w") as copy:
        for name in parts.namelist():
            part = parts.read(name)
            copy.writestr(name, part.replace(old, new) if "sheet1" in name else part)
    return held.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</sheetData>", b""),
        (b'r="A3"', b'r="ZZZZ3"'),
        (b'<row r="3"', b'<row r="300000000"'),
    ],
)
def test_a_damaged_sheet_is_refused(
    tmp_path: Path, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel, "_MOST_ROWS", 1000)
    damaged = _changed(workbook(Data=ROWS), old, new)
    assert fault_of_file(tmp_path / "a.xlsx", damaged, "data.bad_excel").place is not None
