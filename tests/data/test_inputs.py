"""Every row of a file of questions stays in its place, as a record or as a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import brief, refused
from welltuned.data.config import DataConfig
from welltuned.data.inputs import Inputs, read_inputs
from welltuned.data.load_splits import keep_columns
from welltuned.data.records import Role

ROLES = (Role("text", ("text",), is_input=True), Role("id", ("id",), required=False))


def read(file: Path, text: str | bytes, roles: Any = ROLES) -> Inputs:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_inputs(str(file), DataConfig(train=str(file)), roles, keep_columns, {})


def test_rows_without_a_text_stay(tmp_path: Path) -> None:
    found = read(
        tmp_path / "a.csv", 'text,id,n\nA lovely film,7,1\n"",8,1\n  ,,1\nA dull film,9,1\n'
    )
    assert found.records is not None and found.refused == ()
    assert found.records["text"] == ["A lovely film", "", "", "A dull film"]
    assert [found.records.id(i) for i in range(4)] == ["7", "8", f"{tmp_path}/a.csv:4", "9"]
    assert [bool(found.records.empty_roles(i)) for i in range(4)] == [False, True, True, False]
    assert found.number == 4


def test_missing_cells_are_empty_texts(tmp_path: Path) -> None:
    rows = [{"text": "good"}, {"text": None}, {"id": 3}]
    found = read(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert found.records is not None and found.records["text"] == ["good", "", ""]


def test_broken_rows_are_faults_in_their_place_and_none_is_merely_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"film {i}"}) for i in range(40)]
    for i in range(1, 40, 2):
        lines[i] = "{broken"
    lines[2] = json.dumps(["no object"])
    found = read(tmp_path / "a.jsonl", "\n".join(lines))
    assert found.records is not None and len(found.records) == 19 and len(found.refused) == 21
    where = [fault.place.line or 0 for fault in found.refused if fault.place]
    assert sorted([*where, *found.records.lines]) == list(range(1, 41))


def test_rows_of_another_width_are_faults_in_their_place(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "text,id\ngood,1\nbad,2,3\nfine,4\n")
    assert found.records is not None and found.records.lines == [2, 4]
    assert brief(found.refused) == ["a.csv:3:3 data.csv_width"]


def test_half_characters_are_faults_in_their_place(tmp_path: Path) -> None:
    text = '{"text": "good"}\n{"text": "\\ud83d"}\n{"text": "\\ud83d\\ude00"}\n'
    found = read(tmp_path / "a.jsonl", text)
    assert found.records is not None and found.records["text"] == ["good", "😀"]
    assert brief(found.refused) == ["a.jsonl:2 predict.text_not_unicode"]


def test_a_file_in_which_every_row_is_broken_has_no_records(tmp_path: Path) -> None:
    found = read(tmp_path / "a.jsonl", '{"text": "\\ud83d"}\n' * 2)
    assert found.records is None and len(found.refused) == 2


def test_blank_lines_of_plain_text_are_empty_texts(tmp_path: Path) -> None:
    found = read(tmp_path / "a.txt", "\ngood\n\n \nbad\n")
    assert found.records is not None and found.records["text"] == ["", "good", "", "", "bad"]
    assert found.records.lines == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.csv", "x,y\n1,2\n", "data.column_missing"),
        ("a.json", '[{"text": "a"}, {"text"', "data.bad_json_array"),
        ("a.csv", 'text\n"open\n', "data.csv_malformed"),
        ("a.csv", "", "data.file_empty"),
    ],
)
def test_what_is_wrong_with_the_whole_file_is_refused(
    name: str, text: str, code: str, tmp_path: Path
) -> None:
    with refused(code):
        read(tmp_path / name, text)


def test_columns_are_found_by_their_names_in_training(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("review,text\ngood,x\n")
    config = DataConfig(train=str(file))
    trained = {"text": "review", "label": "stars"}
    found = read_inputs(str(file), config, ROLES, keep_columns, trained)
    assert found.records is not None and found.records["text"] == ["good"]
    mapped = config.model_copy(update={"columns": {"text": "text"}})
    found = read_inputs(str(file), mapped, ROLES, keep_columns, trained)
    assert found.records is not None and found.records["text"] == ["x"]


def test_blank_rows_between_others_are_empty_texts(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "text,id\ngood,1\n , \n,\nbad,2\n,\n")
    assert found.records is not None and found.records["text"] == ["good", "", "", "bad"]
    assert found.records.lines == [2, 3, 4, 5]
