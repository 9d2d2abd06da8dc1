"""Bytes that are no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from reading import read


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_every_line_that_is_not_utf8_is_told_with_its_byte(tmp_path: Path, name: str) -> None:
    table, faults = read(tmp_path / name, b"text,label\ncaf\xe9,a\nfine,b\n\xff,c\n")
    assert table is None
    assert faults == [
        f"{name}:2:4 data.not_utf8 byte={0xE9}",
        f"{name}:4:1 data.not_utf8 byte={0xFF}",
    ]
