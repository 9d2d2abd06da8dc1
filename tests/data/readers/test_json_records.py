"""JSON and JSON lines: records, and where they break; what was written is read."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from reading import read, table_of_file
from texts import texts


def test_keys_that_come_late_or_are_left_out_are_nothing_elsewhere(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "a.jsonl", '{"a": 1}\n{"b": 2}\n{"a": 3, "b": 4}\n')
    assert table.columns == {"a": [1, None, 3], "b": [None, 2, 4]}


def test_an_unusual_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.jsonl", '{"text": "a\u2028b\x85c"}\n{"text": "d"}\n')
    assert faults == []
    assert table.columns["text"] == ["a\u2028b\x85c", "d"]


ROWS = some.lists(
    some.fixed_dictionaries({"text": texts, "label": some.integers(0, 1)}), min_size=1, max_size=6
)
RELAXED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@RELAXED
@given(
    ROWS,
    some.booleans(),
    some.sampled_from([None, 2]),
    some.sampled_from(["\n", "\r\n", "\r"]),
    some.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be"]),
)
def test_json_gives_back_what_was_written(
    tmp_path: Path,
    rows: list[dict[str, object]],
    escaped: bool,
    indent: int | None,
    end: str,
    encoding: str,
) -> None:
    lines = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    listed = json.dumps(rows, ensure_ascii=escaped, indent=indent)
    within = json.dumps({"data": rows}, ensure_ascii=escaped, indent=indent)
    for name, content in (("a.jsonl", lines), ("a.json", listed), ("b.json", within)):
        written = content.replace("\n", end).encode(encoding)
        table = table_of_file(tmp_path / name, written)
        assert table.columns == {key: [row[key] for row in rows] for key in ("text", "label")}


def test_blank_lines_count_where_lines_end_in_cr(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "a.jsonl", '{"text": "a"}\r\r{"text": "b"}\r')
    assert table.lines == [1, 3]
