"""Nested cells: paths lead into them; objects and lists are never taken for text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import brief, codes
from reading import table_of_file
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.layouts.nested import with_nested
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.records import Role
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults
from welltuned.tasks import Classification

ROLES = (
    Role("text", ("text",), is_input=True),
    Role("label", ("label",), is_target=True),
)


def collected(
    path: Path, rows: list[dict[str, Any]], **config: Any
) -> tuple[DataSplits | None, list[Fault]]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    faults = Faults()
    data = collect(DataConfig(train=str(path), **config), ROLES, faults)
    return data, list(faults)


TEXTS = [f"text {number}" for number in range(30)]


@pytest.mark.parametrize(
    ("rows", "role", "column"),
    [
        ([{"text": {"en": text, "n": 1}, "label": "a"} for text in TEXTS], "text", "text.en"),
        ([{"text": [text, "more"], "label": "a"} for text in TEXTS], "text", "text.0"),
        ([{"text": {"a": [{"b": text}]}, "label": "a"} for text in TEXTS], "text", "text.a.0.b"),
        ([{"text": text, "label": {"name": "a"}} for text in TEXTS], "label", "label.name"),
    ],
)
def test_what_is_no_text_is_told_with_its_line_and_the_remedy_works(
    rows: list[dict[str, Any]], role: str, column: str, tmp_path: Path
) -> None:
    data, faults = collected(tmp_path / "a.jsonl", rows)
    kind = "list" if column == "text.0" else "object"
    assert data is None and set(codes(faults)) == {f"data.cell_is_{kind}"}
    assert brief(faults)[1] == f"a.jsonl:2 data.cell_is_{kind}"
    assert f"data.columns.{role}={column}" in faults[0].remedy
    data, faults = collected(tmp_path / "a.jsonl", rows, columns={role: column})
    assert faults == [] and data is not None
    splits = (data.train, data.validation, data.test)
    assert sorted(text for split in splits for text in split["text"]) == sorted(TEXTS)
    assert {label for split in splits for label in split["label"]} == {"a"}


def test_a_list_of_labels_is_for_its_task_to_read(tmp_path: Path) -> None:
    rows = [{"text": text, "label": ["a", "b"]} for text in TEXTS]
    data, faults = collected(tmp_path / "a.jsonl", rows)
    assert faults == [] and data is not None


def test_a_path_leads_into_json_in_a_cell_of_csv(tmp_path: Path) -> None:
    content = 'id,data\n1,"{""text"": ""one""}"\n2,"{}"\n3,nothing\n'
    table = table_of_file(tmp_path / "a.csv", content, columns={"text": "data.text"})
    assert table.columns["data.text"] == ["one", None, None]


def test_a_column_whose_name_has_dots_is_itself(tmp_path: Path) -> None:
    content = '{"a": {"b": 1}, "a.b": 2, "c.d": {"e": 3}}\n'
    table = table_of_file(tmp_path / "a.jsonl", content, columns={"text": "a.b", "label": "c.d.e"})
    assert table.columns["a.b"] == [2] and table.columns["c.d.e"] == [3]


def test_a_path_that_no_row_has_is_no_column(tmp_path: Path) -> None:
    rows = [{"text": {"en": text}, "label": "a"} for text in TEXTS]
    _, faults = collected(tmp_path / "a.jsonl", rows, columns={"text": "text.de"})
    assert codes(faults) == ["data.column_unknown"]


def test_flags_of_labels_are_for_their_task_to_read(tmp_path: Path) -> None:
    """Lists of 0 and 1, a column a label, and objects of flags."""
    texts = [f"text {i}" for i in range(40)]
    rows: dict[str, list[dict[str, Any]]] = {
        "lists": [{"text": t, "labels": [i % 2, 1 - i % 2]} for i, t in enumerate(texts)],
        "columns": [{"text": t, "a": i % 2, "b": 1 - i % 2} for i, t in enumerate(texts)],
        "objects": [{"text": t, "label": {"a": 1, "b": i % 2}} for i, t in enumerate(texts)],
    }
    named: dict[str, Any] = {"columns": {"columns": {"labels": "a,b"}}}
    for name, some in rows.items():
        file = write_rows(tmp_path / f"{name}.jsonl", some)
        config = DataConfig(train=file, **named.get(name, {}))
        faults = Faults()
        found = collect(config, Classification.roles, faults, Classification().convert)
        assert list(faults) == [] and found is not None, name


@pytest.mark.parametrize("key", ["²", "1" * 5000, "-1"])
def test_what_is_no_number_of_an_item_leads_nowhere(key: str) -> None:
    table = with_nested(Table("a", {"text": [["x", "y"]]}, [1]), [f"text.{key}"])
    assert set(table.columns) == {"text"}
