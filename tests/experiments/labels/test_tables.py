"""Tables that spreadsheets open."""

from __future__ import annotations

from pathlib import Path

from welltuned.data.config import DataConfig
from welltuned.data.readers.formats import read_path
from welltuned.errors import Faults
from welltuned.experiments.labels.tables import write_table

NASTY = 'two\nlines, "quoted"; 好的\ttabbed'


def test_what_is_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    write_table(file, [{"id": "a", "text": NASTY}, {"id": "b", "label": "x"}], ["id", "label"])
    assert file.read_bytes().startswith("\ufeff".encode())
    faults = Faults()
    table = read_path(file, str(file), DataConfig(train=str(file), header=True), faults)
    assert not list(faults) and table is not None
    assert list(table.columns) == ["id", "label", "text"]
    assert table.columns["text"][0] == NASTY and table.columns["label"][1] == "x"


def test_without_rows_there_is_a_header(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [], ["id", "label"])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8-sig") == "id,label\n"


def test_what_a_spreadsheet_would_compute_stands_behind_an_apostrophe(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"id": "a:1", "text": "=HYPERLINK(1)", "label": "-1"}])
    assert "a:1,'=HYPERLINK(1),-1" in (tmp_path / "t.csv").read_text("utf-8-sig")
