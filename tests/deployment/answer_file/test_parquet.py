"""JSON lines become columns of one type each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed")

from pyarrow import parquet as files

from faults import fails
from welltuned.deployment.answer_file import parquet
from welltuned.deployment.answer_file.parquet import kinds_of, write_parquet


def written(folder: Path, *rows: dict[str, Any]) -> Any:
    """The table that becomes of rows."""
    lines = folder / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_parquet(lines, folder / "a.parquet")
    return files.read_table(folder / "a.parquet")


def row(**more: Any) -> dict[str, Any]:
    return {"id": "1", "text": "a", "prediction": "b", **more}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None], "text"),
        ([1, 0.5], "number"),
        ([True, None], "flag"),
        ([["a", None], []], "texts"),
        ([[1.5], [2, None]], "numbers"),
        ([0.5, [0.5]], "json"),
        ([[["a"]]], "json"),
        ([[{"start": 1}]], "json"),
        ([["a", 1]], "json"),
        ([None], "text"),
        ([[]], "text"),
    ],
)
def test_a_column_has_one_kind(values: list[Any], kind: str) -> None:
    assert kinds_of({"x": value} for value in values)["x"] == kind


def test_every_kind_comes_back(tmp_path: Path) -> None:
    told = {"tags": ["A", None], "sure": [0.5, None], "spans": [{"start": 0}], "cut": True}
    mixed = [row(**told, score=[1.5, 2.5]), row(score=0.5)]
    table = written(tmp_path, *mixed).to_pylist()
    assert table[0]["tags"] == ["A", None] and table[0]["sure"] == [0.5, None]
    assert json.loads(table[0]["spans"]) == [{"start": 0}] and table[0]["cut"] is True
    assert [json.loads(one["score"]) for one in table] == [[1.5, 2.5], 0.5]
    assert table[1]["tags"] is None and table[1]["cut"] is None


def test_columns_are_those_of_every_file_of_answers(tmp_path: Path) -> None:
    table = written(tmp_path)
    names = ["id", "text", "prediction", "abstained", "cut", "reason", "code"]
    assert table.column_names == names and table.num_rows == 0
    assert str(table.schema.field("cut").type) == "bool"


def test_it_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP", 2)
    table = written(tmp_path, *(row(id=str(i)) for i in range(5)))
    assert table["id"].to_pylist() == list("01234")
    assert files.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_a_full_disk_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "ParquetWriter", full)
    with fails("run.disk_full", name="a.parquet"):
        written(tmp_path, row())
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]
