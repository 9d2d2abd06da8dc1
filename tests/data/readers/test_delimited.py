"""CSV and TSV: marks, quotes, rows that are not whole; what was written is read."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from reading import again, read, table_of_file
from texts import texts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_of_every_system_are_read(tmp_path: Path, end: str, last: bool) -> None:
    content = end.join(["text,label", "one,a", "two,b"]) + (end if last else "")
    table, faults = read(tmp_path / "a.csv", content)
    assert faults == []
    assert table.columns == {"text": ["one", "two"], "label": ["a", "b"]}
    assert table.lines == [2, 3]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_csv_may_be_separated_otherwise_and_says_so(tmp_path: Path, mark: str) -> None:
    table, _ = read(tmp_path / "a.csv", f"text{mark}label\none{mark}a\n")
    assert table.columns == {"text": ["one"], "label": ["a"]}
    assert (table.notes == ()) == (mark == ",")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_separator_that_excel_states_is_no_header(tmp_path: Path, end: str) -> None:
    content = end.join(["sep=;", "text,label;label", "one;a", ""])
    table, faults = read(tmp_path / "a.csv", content)
    assert faults == [] and table.columns == {"text,label": ["one"], "label": ["a"]}
    assert table.lines == [3]


def test_a_comma_in_a_quoted_header_separates_nothing(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "a.csv", '"text, or so";label\none;a\n')
    assert list(table.columns) == ["text, or so", "label"]


def test_quotation_marks_in_a_tsv_are_text(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.tsv", 'text\tlabel\nsay "hi\ta\n"b" c\tb\n')
    assert faults == []
    assert table.columns["text"] == ['say "hi', '"b" c']


def test_quoting_can_be_set_against_the_format(tmp_path: Path) -> None:
    tsv, _ = read(tmp_path / "a.tsv", 'text\tlabel\n"a\tb"\tc\n', quoting="standard")
    csv, _ = read(tmp_path / "a.csv", 'text,label\n"a,b\n', quoting="none")
    assert tsv.columns["text"] == ["a\tb"]
    assert csv.columns["text"] == ['"a']


def test_a_field_may_be_longer_than_csv_readers_allow(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.csv", f"text,label\n{'x' * 200_000},a\n")
    assert faults == []
    assert len(table.columns["text"][0]) == 200_000


def test_a_doubled_column_is_told_at_its_second_place(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.csv", "text,label,text\na,b,c\n")
    assert table is None
    assert faults == ["a.csv:1:3 data.column_repeated column=text"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('"text,label\na,b\n', "a.csv:1 data.csv_bad_header"),
        ('"te"xt,label\na,b\n', "a.csv:1 data.csv_bad_header"),
        ("\ntext,label\na,b\n", "a.csv:1 data.csv_blank_header"),
        ('text,label\na,b\n"c,d\ne,f\n', "a.csv:3 data.csv_malformed"),
    ],
)
def test_a_broken_csv_is_told_where_it_breaks(tmp_path: Path, content: str, told: str) -> None:
    _, faults = read(tmp_path / "a.csv", content)
    assert len(faults) == 1
    assert faults[0].startswith(told)


def test_rows_with_too_many_or_too_few_cells_are_told_and_left_out(tmp_path: Path) -> None:
    content = 'text,label\none,a\ntwo\nthree,b,c\n"four\nlines",d\nfive,e,f\n'
    table, faults = read(tmp_path / "a.csv", content)
    assert [fault.partition(" remedy=")[0] for fault in faults] == [
        "a.csv:3:2 data.csv_width found=1 expected=2",
        "a.csv:4:3 data.csv_width found=3 expected=2",
        "a.csv:7:3 data.csv_width found=3 expected=2",
    ]
    assert table.columns["text"] == ["one", "four\nlines"]


ROWS = some.lists(some.tuples(texts, some.sampled_from(["0", "1"])), min_size=1, max_size=8)
RELAXED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@RELAXED
@given(
    ROWS,
    some.sampled_from(["\n", "\r\n", "\r"]),
    some.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    some.booleans(),
)
def test_a_csv_gives_back_what_was_written(
    tmp_path: Path, rows: list[tuple[str, str]], end: str, encoding: str, every: bool
) -> None:
    written = io.StringIO()
    plain, quoted = (csv.writer(written, lineterminator=end, quoting=how) for how in (0, 1))
    with_quotes = every or end == "\r"  # else the writer leaves an LF in a text without them
    (quoted if with_quotes else plain).writerows([("text", "label"), *rows])
    table = table_of_file(tmp_path / "a.csv", written.getvalue().encode(encoding))
    assert table.columns == {
        "text": [text for text, _ in rows],
        "label": [label for _, label in rows],
    }
    assert {reading.question for reading in table.readings} <= {"encoding", "line_ends"}


@RELAXED
@given(ROWS)
def test_a_csv_of_pandas_gives_back_what_was_written(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "a.csv", index=False)
    table, faults = again(tmp_path / "a.csv")
    assert faults == [] and table is not None
    assert table.columns["text"] == [text for text, _ in rows]


@RELAXED
@given(ROWS)
def test_a_tsv_gives_back_texts_without_tabs_and_line_ends(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    plain = [(" ".join(text.replace("\t", " ").split()), label) for text, label in rows]
    lines = ["text\tlabel", *("\t".join(row) for row in plain)]
    table = table_of_file(tmp_path / "a.tsv", "\n".join(lines) + "\n")
    assert table.columns["text"] == [text for text, _ in plain]


@pytest.mark.parametrize("ends", ["auto", "lf"])
def test_a_noncharacter_stays_what_it_is(tmp_path: Path, ends: str) -> None:
    table, _ = read(tmp_path / "a.csv", "text,label\na\ufdd0b\rc,x\n", line_ends=ends)
    assert (
        "\ufdd0" in table.columns["text"][0] and "\r" not in table.columns["text"][0].split("b")[0]
    )
