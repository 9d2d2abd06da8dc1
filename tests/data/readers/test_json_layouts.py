"""JSON in every layout that pandas and people write; what is no table is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import brief, codes
from reading import again, answers, attempt, fault_of_file, remedies, table_of_file

TEXTS, LABELS = ["one, two", "zwei\n\"drei\"", "三 😀"], [0, 1, 0]  # fmt: skip
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("index", ["numbers", "words"])
def test_what_pandas_writes_is_read(
    orient: Any, indent: int | None, index: str, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    names = None if index == "numbers" else ["a1", "b2", "c3"]
    written = pandas.DataFrame(ROWS, index=names).to_json(orient=orient, indent=indent)
    table = table_of_file(tmp_path / "a.json", written)
    assert table.columns == {"text": TEXTS, "label": LABELS}


def test_lists_of_cells_have_numbers_for_names(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    written = pandas.DataFrame(ROWS * 3).to_json(orient="values")
    table = table_of_file(tmp_path / "a.json", written)
    assert table.columns == {"0": TEXTS * 3, "1": LABELS * 3}
    named = table_of_file(tmp_path / "a.json", json.dumps([["text", "label"], ["a", 1]]))
    assert named.columns == {"text": ["a"], "label": [1]}
    lines = table_of_file(tmp_path / "a.jsonl", '["text", "label"]\n["a", 1]\n')
    assert lines.columns == named.columns and lines.lines == [2]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "beside", [{}, {"version": "1.0"}, {"meta": {"by": "me"}, "errors": []}], ids=str
)
@pytest.mark.parametrize("key", ["data", "rows", "train"])
def test_rows_within_an_object_are_read(
    key: str, beside: dict[str, Any], indent: int | None, tmp_path: Path
) -> None:
    content = json.dumps({**beside, key: ROWS}, indent=indent)
    table = table_of_file(tmp_path / "a.json", content)
    assert table.columns == {"text": TEXTS, "label": LABELS}
    assert answers(table) == {"layout": f"rows in {key}"}
    lines = content.split("\n")
    assert [lines[line - 1].strip()[0] for line in table.lines] == ["{"] * 3
    assert indent is None or len(set(table.lines)) == 3


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["text", "label"], "rows": [list(row.values()) for row in ROWS]},
        {"data": {"text": TEXTS, "label": LABELS}},
        {"a": {"rows": ROWS, "count": 3}},
    ],
    ids=["rows of cells", "columns within", "rows within"],
)
def test_people_wrap_tables_in_other_ways(content: dict[str, Any], tmp_path: Path) -> None:
    table = table_of_file(tmp_path / "a.json", json.dumps(content))
    assert table.columns == {"text": TEXTS, "label": LABELS}


def test_lists_beside_other_values_are_asked_for_and_the_remedies_work(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = json.dumps({"version": "1.0", "text": TEXTS, "label": LABELS})
    fault = fault_of_file(path, content, "data.json_lists_unclear")
    row, columns = (again(path, **remedy)[0] for remedy in remedies(fault))
    assert row is not None and row.columns["text"] == [TEXTS]
    assert columns is not None and columns.columns == {"text": TEXTS, "label": LABELS}


def test_lists_of_unequal_length_are_told_with_their_lengths(tmp_path: Path) -> None:
    content = json.dumps({"text": TEXTS, "label": LABELS, "names": ["neg", "pos"]})
    fault = fault_of_file(tmp_path / "a.json", content, "data.json_lists_unclear")
    assert fault.values["lists"] == "text (3), label (3), names (2)"


@pytest.mark.parametrize("indent", [None, 2])
def test_lists_of_equal_length_are_columns(indent: int | None, tmp_path: Path) -> None:
    content = json.dumps({"text": TEXTS, "label": LABELS}, indent=indent)
    table = table_of_file(tmp_path / "a.json", content)
    assert table.columns == {"text": TEXTS, "label": LABELS}
    assert answers(table) == {"layout": "columns"}
    assert table.lines == ([3, 4, 5] if indent else [1, 1, 1])


WORDS = {"words": ["Ada", "sings"], "tags": ["B-PER", "O"]}


def test_one_row_of_lists_can_be_told_from_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert table_of_file(path, json.dumps(WORDS)).columns == WORDS
    row = table_of_file(path, json.dumps(WORDS), json_layout="records")
    assert row.columns == {key: [cell] for key, cell in WORDS.items()}
    line = table_of_file(tmp_path / "a.jsonl", json.dumps(WORDS))
    assert line.columns == row.columns and line.readings == ()


TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


@pytest.mark.parametrize(
    "record",
    [
        {"text": "one", "label": "a"},
        {"messages": TURNS},
        {"id": 7, "messages": TURNS},
        {"prompt": "Hi", "chosen": TURNS, "rejected": TURNS},
    ],
    ids=lambda record: " ".join(record),
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_an_object_of_other_values_is_a_row(
    record: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    table = table_of_file(tmp_path / f"a.{suffix}", json.dumps(record, indent=2))
    assert table.columns == {key: [cell] for key, cell in record.items()}


def test_indented_objects_may_follow_one_another(tmp_path: Path) -> None:
    content = "\n".join(json.dumps(row, indent=2) for row in ROWS)
    for suffix in ("json", "jsonl"):
        table = table_of_file(tmp_path / f"a.{suffix}", content)
        assert table.columns == {"text": TEXTS, "label": LABELS}
        assert table.lines == [1, 5, 9]


# --- Asked for -----------------------------------------------------------------------

UNCLEAR = {"red": {"p": "one", "q": "two"}, "blue": {"p": "three", "q": "four"}}


def test_objects_that_may_be_rows_or_columns_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    fault = fault_of_file(path, json.dumps(UNCLEAR), "data.layout_unclear")
    assert remedies(fault)[0] == {"json_layout": "index"}
    rows, _ = again(path, **remedies(fault)[0])
    columns, _ = again(path, json_layout="columns")
    one, _ = again(path, json_layout="records")
    assert rows is not None and rows.columns == {"p": ["one", "three"], "q": ["two", "four"]}
    assert columns is not None and list(columns.columns) == ["red", "blue"]
    assert one is not None and len(one) == 1
    mapped, _ = again(path, columns={"text": "red"})
    assert mapped is not None and list(mapped.columns) == ["red", "blue"]


def test_several_lists_are_asked_for_and_the_remedy_works(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = json.dumps({"train": ROWS, "test": ROWS[:1]}, indent=1)
    fault = fault_of_file(path, content, "data.json_tables_several")
    table, faults = again(path, **remedies(fault)[0])
    assert faults == [] and table is not None and table.columns["text"] == TEXTS
    assert table.lines == [3, 7, 11]


def test_several_objects_of_columns_are_asked_for_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    part = {"text": TEXTS, "label": LABELS}
    fault = fault_of_file(path, json.dumps({"a": part, "b": part}), "data.json_tables_several")
    table, _ = again(path, **remedies(fault)[0])
    assert table is not None and table.columns == part
    rows = table_of_file(path, json.dumps({"0": WORDS, "1": WORDS}))
    assert rows.columns == {key: [cell] * 2 for key, cell in WORDS.items()}


def test_a_path_leads_to_a_table_further_in(tmp_path: Path) -> None:
    content = json.dumps({"a": {"b": ROWS, "c": [1]}, "d": ROWS})
    table = table_of_file(tmp_path / "a.json", content, json_path="a.b")
    assert table.columns["text"] == TEXTS


@pytest.mark.parametrize(
    "content", [json.dumps({"data": ROWS}), json.dumps(ROWS), '{"a": 1}\n{"a": 2}\n']
)
def test_a_path_that_leads_nowhere_is_told(content: str, tmp_path: Path) -> None:
    fault_of_file(tmp_path / "a.json", content, "data.json_path_unknown", json_path="dta")


def test_a_layout_that_does_not_fit_is_told(tmp_path: Path) -> None:
    content = json.dumps({"text": "one"})
    fault_of_file(
        tmp_path / "a.json", content, "data.json_layout_does_not_fit", json_layout="index"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("3", "a.json:1 data.record_not_an_object"),
        ('["a", "b"]', "a.json:1 data.record_not_an_object"),
        ('{"data": ["a"]}\n{"data"', "a.json:2:8 data.bad_json"),
        ('{\n "text": "a",\n "label" 3\n}\n', "a.json:3:10 data.bad_json_document"),
        ('{\n "text": "a"\n}\n{\n "text" 3\n}\n', "a.json:5:9 data.bad_json_document"),
    ],
)
def test_what_is_no_table_is_told_with_its_place(content: str, told: str, tmp_path: Path) -> None:
    _, faults = attempt(tmp_path / "a.json", content)
    assert brief(faults)[0] == told and len(set(codes(faults))) == 1


def test_columns_of_unequal_rows_are_put_together_by_row(tmp_path: Path) -> None:
    content = '{"text": {"1": "a", "2": "b"}, "label": {"2": "y", "3": "z"}}'
    table = table_of_file(tmp_path / "a.json", content, json_layout="columns")
    assert table.columns == {"text": ["a", "b", None], "label": [None, "y", "z"]}


def test_of_lists_and_objects_the_lists_are_columns(tmp_path: Path) -> None:
    content = '{"text": ["a", "b"], "about": {"by": "me"}}'
    table = table_of_file(tmp_path / "a.json", content, json_layout="columns")
    assert table.columns == {"text": ["a", "b"]}


@pytest.mark.parametrize(
    "content", ['{"columns": 5, "data": [[1]]}', '{"columns": ["a"], "data": [[1], 2]}']
)
def test_what_is_nearly_the_split_of_pandas_is_no_table(tmp_path: Path, content: str) -> None:
    table, faults = attempt(tmp_path / "a.json", content)
    assert faults or (table is not None and set(table.columns) == {"columns", "data"})
