"""JSON that breaks somewhere is told where, and what can be read of it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from reading import read


def test_every_broken_line_of_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    content = '{"text": "a"}\n{"text": }\n{"text": "c"}\n{"text" "d"}\n'
    table, faults = read(tmp_path / "a.jsonl", content)
    assert faults == [
        "a.jsonl:2:10 data.bad_json reason=Expecting value",
        "a.jsonl:4:9 data.bad_json reason=Expecting ':' delimiter",
    ]
    assert table.columns["text"] == ["a", "c"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '[\n{"text": "a"},\n{"text": }\n]',
            "a.json:3:10 data.bad_json_array reason=Expecting value",
        ),
        (
            '[\n{"text": "a"}\n{"text": "b"}]',
            "a.json:3 data.bad_json_array reason=expecting ',' or ']'",
        ),
        ('[\n{"text": "a"},\n', "a.json:3 data.json_array_open"),
        ('[\n{"text": "a"}\n', "a.json:3 data.bad_json_array reason=expecting ',' or ']'"),
        ('[{"text": "a"}]\n\n{"x"', "a.json:3 data.json_array_trailing"),
        ("[" * 100_000, "a.json:1 data.json_array_too_deep"),
    ],
)
def test_a_broken_array_is_told_where_it_breaks(tmp_path: Path, content: str, told: str) -> None:
    _, faults = read(tmp_path / "a.json", content)
    assert faults == [told]


@pytest.mark.parametrize("close", ["", "]" * 100_000 + "}"])
def test_an_object_nested_too_deep_is_told(tmp_path: Path, close: str) -> None:
    _, faults = read(tmp_path / "a.json", '{\n"text": ' + "[" * 100_000 + close)
    assert faults == ["a.json:1 data.json_document_too_deep"]


def test_a_line_nested_too_deep_is_told(tmp_path: Path) -> None:
    _, faults = read(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": ' + "[" * 100_000 + "\n")
    assert faults == ["a.jsonl:2 data.json_too_deep"]


@pytest.mark.parametrize(("record", "kind"), [("3", "int"), ('"x"', "str"), ("[1]", "list")])
def test_a_record_that_is_no_object_is_refused(tmp_path: Path, record: str, kind: str) -> None:
    _, faults = read(tmp_path / "a.jsonl", f'{{"text": "a"}}\n{record}\n')
    assert faults == [f"a.jsonl:2 data.record_not_an_object type={kind}"]


@pytest.mark.parametrize(
    ("name", "form", "column"),
    [("a.jsonl", '{"n": 1}\n{"n": %s}', 7), ("a.json", '[{"n": 1},\n{"n": %s}]', 7)],
)
def test_a_number_of_too_many_digits_is_a_fault_of_its_line(
    tmp_path: Path, name: str, form: str, column: int
) -> None:
    _, faults = read(tmp_path / name, form % ("1" * 5000))
    assert [fault.split()[0] for fault in faults] == [f"{name}:2:{column}"]
