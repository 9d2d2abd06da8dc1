"""Three formats: what they gather rows in, and what becomes of it."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.deployment.answer_file.formats import FORMATS_OUT, AnswerFormat, format_for

GOOD = {"id": "1", "text": "a", "prediction": "good", "probabilities": {"good": 0.75, "bad": 0.25}}
EMPTY = {"id": "2", "text": "", "prediction": None, "reason": "the text is empty", "code": "e"}
CUT = {**GOOD, "id": "3", "cut": True}


def gather(format_: AnswerFormat, *rows: dict[str, Any]) -> None:
    """Append rows, as the file is written."""
    texts = [*map(format_.text, rows), format_.rest()]
    with format_.gathered.open("a", encoding="utf-8", newline="") as stream:
        stream.writelines(texts)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_name_of_no_format_is_refused(tmp_path: Path) -> None:
    with refused("predict.out_format_unknown", suffix=".txt"):
        format_for(tmp_path / "a.txt")
    with refused("predict.out_format_unknown", suffix="a file without suffix"):
        format_for(tmp_path / "a")
    assert format_for(tmp_path / "A.CSV").target == tmp_path / "A.CSV"


def test_parquet_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refused("predict.package_missing", package="pyarrow"):
        format_for(tmp_path / "a.parquet").require_packages()
    format_for(tmp_path / "a.csv").require_packages()


@pytest.mark.parametrize("suffix", FORMATS_OUT)
def test_rows_that_are_there_are_found_again(suffix: str, tmp_path: Path) -> None:
    gather(format_for(tmp_path / f"a{suffix}"), EMPTY, GOOD, CUT)
    again = format_for(tmp_path / f"a{suffix}")
    with again.gathered.open("ab") as stream:
        stream.write(b'4,"half a r')
    assert again.recover() == 3
    rows = list(again.rows())
    assert [row["id"] for row in rows] == ["2", "1", "3"]
    assert [row.get("code") for row in rows] == ["e", None, None]
    assert [bool(row.get("cut")) for row in rows] == [False, False, True]
    gather(again, {**GOOD, "id": "4"})
    assert again.recover() == 4


def test_a_table_has_the_columns_of_the_first_answer(tmp_path: Path) -> None:
    gather(format_for(tmp_path / "a.csv"), EMPTY, GOOD, CUT)
    rows = table(tmp_path / "a.csv")
    assert [row["id"] for row in rows] == ["2", "1", "3"]
    assert rows[1]["probabilities.good"] == "0.75" and rows[0]["probabilities.good"] == ""
    assert (rows[0]["code"], rows[1]["code"], rows[2]["cut"]) == ("e", "", "true")


def test_a_table_without_an_answer_has_all_its_rows(tmp_path: Path) -> None:
    gather(format_for(tmp_path / "a.csv"), EMPTY, {**EMPTY, "id": "3"})
    assert [row["id"] for row in table(tmp_path / "a.csv")] == ["2", "3"]
    gather(format_for(tmp_path / "none.csv"))
    assert table(tmp_path / "none.csv") == [] and (tmp_path / "none.csv").stat().st_size


def test_no_cell_of_a_table_is_computed(tmp_path: Path) -> None:
    row = {**GOOD, "id": "-2+3", "text": "=1+1", "prediction": ["@a", "b"], "score": -0.5}
    format_ = format_for(tmp_path / "a.csv")
    gather(format_, row)
    (cells,) = table(tmp_path / "a.csv")
    assert (cells["id"], cells["text"], cells["score"]) == ("'-2+3", "'=1+1", "-0.5")
    assert json.loads(cells["prediction"]) == ["@a", "b"]
    assert [one["id"] for one in format_.rows()] == ["-2+3"]


def test_what_a_table_cannot_hold_is_an_error(tmp_path: Path) -> None:
    """Nothing is left out."""
    format_ = format_for(tmp_path / "a.csv")
    gather(format_, GOOD)
    with pytest.raises(ValueError, match="new"):
        format_.text({**GOOD, "new": 1})


def test_a_text_longer_than_csv_reads_by_itself_is_read(tmp_path: Path) -> None:
    format_ = format_for(tmp_path / "a.csv")
    gather(format_, {**GOOD, "text": "a" * 200_000})
    assert format_.recover() == 1 and len(list(format_.rows())) == 1


def test_parquet_appears_whole(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    format_ = format_for(tmp_path / "a.parquet")
    gather(format_, EMPTY, GOOD)
    assert not format_.target.exists() and format_.gathered.exists()
    format_.finish()
    assert parquet.read_table(format_.target).to_pylist()[1]["probabilities.good"] == 0.75
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
