"""Any file: the same rows whatever its format, and what is said of one that holds none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reading import read

ROWS = {"text": ["héllo, world", "zwei\nlines", '"quoted"'], "label": ["a", "b", "a"]}
CSV = 'text,label\n"héllo, world",a\n"zwei\nlines",b\n"""quoted""",a\n'
OBJECTS = [dict(zip(ROWS, cells, strict=True)) for cells in zip(*ROWS.values(), strict=True)]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in OBJECTS) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.csv", CSV, [2, 3, 5]),
        ("a.CSV", CSV, [2, 3, 5]),
        ("a.jsonl", LINES, [1, 2, 3]),
        ("a.ndjson", LINES, [1, 2, 3]),
        ("a.json", LINES, [1, 2, 3]),
        ("a.json", json.dumps(OBJECTS, indent=2), [2, 6, 10]),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_format_gives_the_same_rows_and_where_each_starts(
    tmp_path: Path, name: str, content: str, lines: list[int], mark: bytes
) -> None:
    table, faults = read(tmp_path / name, mark + content.encode())
    assert faults == []
    assert table.columns == ROWS
    assert table.lines == lines
    assert len(table) == 3


def test_blank_lines_are_passed_over_and_counted_as_lines(tmp_path: Path) -> None:
    csv, _ = read(tmp_path / "a.csv", "text,label\n\none,a\n\n\ntwo,b\n")
    lines, _ = read(tmp_path / "a.jsonl", '\n{"text": "one"}\n\n \n{"text": "two"}\n')
    assert csv.lines == [3, 6]
    assert lines.lines == [2, 5]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    table, faults = read(tmp_path / name, content)
    assert table is None
    assert faults == [f"{name} data.file_empty"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.conll"])
def test_a_file_of_a_mark_alone_is_empty(tmp_path: Path, name: str) -> None:
    table, faults = read(tmp_path / name, b"\xef\xbb\xbf\n")
    assert table is None
    assert faults == [f"{name} data.file_empty"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "text,label\n"), ("a.csv", "sep=;\n"), ("a.json", "[]")]
)
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str) -> None:
    table, faults = read(tmp_path / name, content)
    assert table is None
    assert faults == [f"{name} data.no_rows"]


def test_a_file_of_another_kind_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.pdf", "x")
    assert table is None
    assert faults[0].startswith("a.pdf data.type_unsupported suffix=.pdf known=.csv, ")


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    monkeypatch.setattr(Path, "read_bytes", deny)
    _, faults = read(tmp_path / "a.csv")
    assert faults == ["a.csv data.file_unreadable reason=Permission denied"]
