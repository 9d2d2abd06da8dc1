"""A file that was cut anywhere keeps its whole rows."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from welltuned.deployment.answer_file.whole_rows import keep_whole_rows

ROWS: list[list[str]] = [
    ["id", "text"],
    ["1", "plain"],
    ["2", 'two\nlines and "quotes"'],
    ["3", '"'],
    ["4", "\n\n"],
    ["5", "é\r\n"],
]


def as_csv(rows: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def as_json(rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.mark.parametrize(("write", "quoted"), [(as_csv, True), (as_json, False)])
def test_whatever_a_kill_leaves(write: Any, quoted: bool, tmp_path: Path) -> None:
    """At every byte there is: the rows before it stay, and nothing else does."""
    file, whole = tmp_path / "a", write(ROWS)
    ends = [len(write(ROWS[:i])) for i in range(len(ROWS) + 1)]
    for size in range(len(whole) + 1):
        file.write_bytes(whole[:size])
        rows = sum(end <= size for end in ends) - 1
        assert keep_whole_rows(file, quoted) == rows, size
        assert file.read_bytes() == whole[: ends[rows]], size
