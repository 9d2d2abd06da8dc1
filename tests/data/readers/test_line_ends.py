"""Line ends: each ends a line in every kind of file, also where they are mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from reading import answers, table_of_file

LINES = {
    "csv": (["text,label", "one,a", "two,b", "three,a"], [2, 3, 4]),
    "tsv": (["text\tlabel", "one\ta", "two\tb", "three\ta"], [2, 3, 4]),
    "txt": (["one", "two", "three"], [1, 2, 3]),
    "jsonl": (['{"text": "one"}', '{"text": "two"}', '{"text": "three"}'], [1, 2, 3]),
    "json": (["[", '{"text": "one"},', '{"text": "two"},', '{"text": "three"}]'], [2, 3, 4]),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n"], ids=repr)
@pytest.mark.parametrize("suffix", LINES)
def test_lines_end_as_any_system_ends_them(suffix: str, ends: str, tmp_path: Path) -> None:
    lines, numbers = LINES[suffix]
    table = table_of_file(tmp_path / f"a.{suffix}", ends.join(lines) + ends)
    assert table.columns["text"] == ["one", "two", "three"]
    assert table.lines == numbers or ends == "\r\r\n"


@pytest.mark.parametrize("suffix", LINES)
def test_mixed_line_ends_all_end_lines(suffix: str, tmp_path: Path) -> None:
    lines, numbers = LINES[suffix]
    ends = ["\n", "\r", "\r\n", "\n"]
    mixed = "".join(line + end for line, end in zip(lines, ends, strict=False))
    table = table_of_file(tmp_path / f"a.{suffix}", mixed)
    assert table.columns["text"] == ["one", "two", "three"] and table.lines == numbers
    if suffix not in ("json", "jsonl"):  # where a line end cannot be text
        assert answers(table) == {"line_ends": "any"}
        assert table.readings[0].said["values"]["number"] == 1


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("csv", "text,label\nsay\rhi,a\ntwo,b\n"), ("tsv", "text\tlabel\nsay\rhi\ta\ntwo\tb\n"),
     ("txt", "say\rhi\ntwo\n")],
)  # fmt: skip
def test_a_bare_return_may_be_text(suffix: str, content: str, tmp_path: Path) -> None:
    table = table_of_file(tmp_path / f"a.{suffix}", content, line_ends="lf")
    assert table.columns["text"] == ["say\rhi", "two"] and table.readings == ()


def test_a_bare_return_is_text_where_only_so_rows_are_equal(tmp_path: Path) -> None:
    """As pandas and the `csv` module write it."""
    table = table_of_file(tmp_path / "a.csv", "text,label\nsay\rhi,a\ntwo,b\n")
    assert table.columns["text"] == ["say\rhi", "two"] and table.lines == [2, 3]
    assert answers(table) == {"line_ends": "lf"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("within", ["\n", "\r\n", "\r"], ids=repr)
def test_within_quotes_they_are_text(end: str, within: str, tmp_path: Path) -> None:
    content = end.join(["text,label", f'"one{within}two",a', "three,b"]) + end
    table = table_of_file(tmp_path / "a.csv", content)
    assert table.columns["text"] == [f"one{within}two", "three"] and table.readings == ()


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n"], ids=repr)
@pytest.mark.parametrize("suffix", ["conll", "bio"])
def test_sentences_end_at_blank_lines_of_any_kind(suffix: str, ends: str, tmp_path: Path) -> None:
    lines = ["Ada\tB-PER", "sings\tO", "", "Oslo\tB-LOC"]
    table = table_of_file(tmp_path / f"a.{suffix}", ends.join(lines) + ends)
    assert table.columns["words"] == [["Ada", "sings"], ["Oslo"]] and table.lines == [1, 4]
