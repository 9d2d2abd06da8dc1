"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import pytest

from reading import read

ROWS = {"text": ["héllo, world", "zwei\nlines", '"quoted"'], "label": ["a", "b", "a"]}


def test_parquet_is_read_with_row_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "a.parquet")
    table, faults = read(tmp_path / "a.parquet")
    assert faults == []
    assert table.columns == ROWS
    assert table.lines == [1, 2, 3]


def test_a_file_that_only_calls_itself_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table, faults = read(tmp_path / "a.parquet", "text,label\n")
    assert table is None
    assert faults[0].startswith("a.parquet data.bad_parquet")
