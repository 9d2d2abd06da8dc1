"""Reading tables: what stands in a file, and every fault with its line and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import full
from welltuned.data.config import DataConfig
from welltuned.data.sources import find_sources, read_file
from welltuned.data.table import Table
from welltuned.errors import Faults


def read(path: Path, content: str | bytes | None = None, **config: Any) -> Any:
    """(table or None, faults as places, codes and values)."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path), **config), faults)
    return table, full(faults)


def splits(config: DataConfig) -> tuple[dict[str, Table | None], list[str]]:
    """The tables of all splits, and the faults."""
    faults = Faults()
    tables = {split: reader() for split, reader in find_sources(config, faults).items()}
    return tables, full(faults)


# --- Each format --------------------------------------------------------------

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


def test_blank_lines_are_passed_over_and_counted_as_lines(tmp_path: Path) -> None:
    csv, _ = read(tmp_path / "a.csv", "text,label\n\none,a\n\n\ntwo,b\n")
    lines, _ = read(tmp_path / "a.jsonl", '\n{"text": "one"}\n\n \n{"text": "two"}\n')
    assert csv.lines == [3, 6]
    assert lines.lines == [2, 5]


def test_keys_that_come_late_or_are_left_out_are_nothing_elsewhere(tmp_path: Path) -> None:
    table, _ = read(tmp_path / "a.jsonl", '{"a": 1}\n{"b": 2}\n{"a": 3, "b": 4}\n')
    assert table.columns == {"a": [1, None, 3], "b": [None, 2, 4]}


def test_an_unusual_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.jsonl", '{"text": "a\u2028b\x85c"}\n{"text": "d"}\n')
    assert faults == []
    assert table.columns["text"] == ["a\u2028b\x85c", "d"]


def test_parquet_is_read_with_row_numbers(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(ROWS), tmp_path / "a.parquet")
    table, faults = read(tmp_path / "a.parquet")
    assert faults == []
    assert table.columns == ROWS
    assert table.lines == [1, 2, 3]


# --- Faults -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    table, faults = read(tmp_path / name, content)
    assert table is None
    assert faults == [f"{name} data.file_empty"]


@pytest.mark.parametrize(("name", "content"), [("a.csv", "text,label\n"), ("a.json", "[]")])
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str) -> None:
    table, faults = read(tmp_path / name, content)
    assert table is None
    assert faults == [f"{name} data.no_rows"]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "nowhere.csv")
    assert table is None
    assert faults == ["nowhere.csv data.file_missing"]


def test_a_file_of_another_kind_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    table, faults = read(tmp_path / "a.xlsx", "x")
    assert table is None
    assert faults[0].startswith("a.xlsx data.type_unsupported suffix=.xlsx known=.csv, ")


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    monkeypatch.setattr(Path, "read_bytes", deny)
    _, faults = read(tmp_path / "a.csv")
    assert faults == ["a.csv data.file_unreadable reason=Permission denied"]


def test_every_broken_line_of_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    content = '{"text": "a"}\n{"text": }\n{"text": "c"}\n{"text" "d"}\n'
    table, faults = read(tmp_path / "a.jsonl", content)
    assert faults == [
        "a.jsonl:2:10 data.bad_json reason=Expecting value",
        "a.jsonl:4:9 data.bad_json reason=Expecting ':' delimiter",
    ]
    assert table.columns["text"] == ["a", "c"]


def test_many_broken_lines_are_counted_and_hide_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{\n" * 13)
    (tmp_path / "test.jsonl").write_text("{\n" * 2)
    _, faults = splits(
        DataConfig(train=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"))
    )
    assert sum("train.jsonl:" in fault for fault in faults) == 10
    assert sum("test.jsonl:" in fault for fault in faults) == 2
    assert faults[-1] == "train.jsonl data.bad_json more=3"


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


def test_a_line_nested_too_deep_is_told(tmp_path: Path) -> None:
    _, faults = read(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": ' + "[" * 100_000 + "\n")
    assert faults == ["a.jsonl:2 data.json_too_deep"]


@pytest.mark.parametrize(("record", "kind"), [("3", "int"), ('"x"', "str"), ("[1]", "list")])
def test_a_record_that_is_no_object_is_refused(tmp_path: Path, record: str, kind: str) -> None:
    _, faults = read(tmp_path / "a.jsonl", f'{{"text": "a"}}\n{record}\n')
    assert faults == [f"a.jsonl:2 data.record_not_an_object type={kind}"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_every_line_that_is_not_utf8_is_told_with_its_byte(tmp_path: Path, name: str) -> None:
    table, faults = read(tmp_path / name, b"text,label\ncaf\xe9,a\nfine,b\n\xff,c\n")
    assert table is None
    assert faults == [
        f"{name}:2:4 data.not_utf8 byte={0xE9}",
        f"{name}:4:1 data.not_utf8 byte={0xFF}",
    ]


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


def test_a_file_that_only_calls_itself_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table, faults = read(tmp_path / "a.parquet", "text,label\n")
    assert table is None
    assert faults[0].startswith("a.parquet data.bad_parquet")


# --- Where splits come from ---------------------------------------------------


def test_a_folder_gives_its_splits_by_their_usual_names(tmp_path: Path) -> None:
    for stem in ("train", "dev", "testing"):
        (tmp_path / f"{stem}.jsonl").write_text(json.dumps({"text": stem}))
    tables, faults = splits(DataConfig(train=str(tmp_path)))
    assert faults == []
    assert {split: table.columns["text"] for split, table in tables.items() if table} == {
        "train": ["train"],
        "validation": ["dev"],
        "test": ["testing"],
    }


def test_a_file_named_for_a_split_wins_over_the_folders(tmp_path: Path) -> None:
    for stem in ("train", "test", "other"):
        (tmp_path / f"{stem}.jsonl").write_text(json.dumps({"text": stem}))
    config = DataConfig(train=str(tmp_path), test=str(tmp_path / "other.jsonl"))
    tables, _ = splits(config)
    assert tables["test"] is not None and tables["test"].columns["text"] == ["other"]


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,b\n")
    (tmp_path / "training.jsonl").write_text("{}")
    _, faults = splits(DataConfig(train=str(tmp_path)))
    assert "data.folder_ambiguous split=train files=train.csv, training.jsonl" in faults[0]


def test_a_folder_without_training_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.csv").write_text("text,label\na,b\n")
    (tmp_path / "train.csv").write_text("text,label\na,b\n")
    config = DataConfig(train=str(tmp_path / "train.csv"), validation=str(tmp_path / "data"))
    _, faults = splits(config)
    assert faults[0].startswith("data data.folder_without_train")


def test_all_missing_files_are_told_at_once() -> None:
    config = DataConfig(train="a.csv", validation="b.csv", test="c.csv")
    tables, faults = splits(config)
    assert tables == {}
    assert faults == [f"{name}.csv data.file_missing" for name in "abc"]


@pytest.mark.parametrize("name", ["demo:sentiment_en", "demo:sentiment_zh"])
def test_embedded_data_are_whole_and_have_two_classes(name: str) -> None:
    faults = Faults()
    table = read_file(name, DataConfig(train=name), faults)
    assert list(faults) == []
    assert table is not None and len(set(table.columns["label"])) == 2


def test_an_unknown_embedded_data_set_lists_the_known_ones() -> None:
    faults = Faults()
    assert read_file("demo:nothing", DataConfig(train="demo:nothing"), faults) is None
    (fault,) = full(faults)
    assert fault.startswith("data.demo_unknown name=demo:nothing known=demo:")
    assert "demo:sentiment_en, demo:sentiment_zh" in fault


def test_a_saved_datasets_folder_is_read_with_the_names_of_its_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    part = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    datasets.DatasetDict({"train": part}).save_to_disk(tmp_path / "saved")
    table, faults = read(tmp_path / "saved")
    assert faults == []
    assert table.columns == {"text": ["a", "b"], "label": ["good", "bad"]}
