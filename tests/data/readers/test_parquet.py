"""Parquet files."""

from __future__ import annotations

import io
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


def test_a_damaged_file_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table(ROWS), file, compression="none", use_dictionary=False)
    whole = file.read_bytes()
    _, in_text = read(file, whole.replace("é".encode(), b"\xff\xff", 1))
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    _, in_footer = read(file, whole[:footer] + b"\xff" * 8 + whole[footer + 8 :])
    _, in_notes = read(file, _with_notes(b"{"))
    for faults in (in_text, in_footer, in_notes):
        assert len(faults) == 1 and faults[0].startswith("a.parquet data.bad_parquet")


def _with_notes(notes: bytes) -> bytes:
    """A file with what the `datasets` library leaves in one."""
    import pyarrow
    import pyarrow.parquet

    held = io.BytesIO()
    table = pyarrow.table(ROWS).replace_schema_metadata({b"huggingface": notes})
    pyarrow.parquet.write_table(table, held)
    return held.getvalue()
