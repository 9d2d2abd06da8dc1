"""Rows of cells: what is blank is left out and counted, what does not fit is told."""

from __future__ import annotations

from pathlib import Path

from faults import brief, noted
from reading import attempt, table_of_file


def test_blank_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    content = ",,\ntext,label,id\none,a,1\n,,\n , ,\ntwo,b,2\n,,\n"
    table = table_of_file(tmp_path / "a.csv", content)
    assert table.columns == {"text": ["one", "two"], "label": ["a", "b"], "id": ["1", "2"]}
    assert table.lines == [3, 6]
    assert noted(table.notes) == ["data.blank_rows_left_out source=a.csv number=4"]


def test_blank_columns_without_a_name_are_left_out_and_counted(tmp_path: Path) -> None:
    content = "text,,label,,\none,,a,,\ntwo,,b,,,,\n"
    table = table_of_file(tmp_path / "a.csv", content)
    assert table.columns == {"text": ["one", "two"], "label": ["a", "b"]}
    assert noted(table.notes) == ["data.blank_columns_left_out source=a.csv number=5"]


def test_a_named_column_stays_and_an_unnamed_one_that_is_filled_too(tmp_path: Path) -> None:
    """As pandas writes its index."""
    table = table_of_file(tmp_path / "a.csv", ",text,label\n0,one,\n1,two,\n")
    assert table.columns == {"": ["0", "1"], "text": ["one", "two"], "label": ["", ""]}
    assert table.notes == ()


def test_two_filled_columns_without_a_name_are_told(tmp_path: Path) -> None:
    _, faults = attempt(tmp_path / "a.csv", "text,,\none,x,y\n")
    assert brief(faults) == ["a.csv:1:3 data.column_repeated"]


def test_a_filled_cell_beyond_the_columns_is_told(tmp_path: Path) -> None:
    _, faults = attempt(tmp_path / "a.csv", "text,label\none,a,,\ntwo,b,,x\n")
    assert brief(faults) == ["a.csv:3:3 data.csv_width"]


def test_an_empty_text_alone_in_its_row_is_a_row(tmp_path: Path) -> None:
    table = table_of_file(tmp_path / "a.csv", 'text\none\n""\ntwo\n')
    assert table.columns == {"text": ["one", "", "two"]} and table.notes == ()
