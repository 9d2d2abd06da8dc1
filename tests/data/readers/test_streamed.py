"""Files read row by row: the same tables as their own readers give, or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from reading import attempt
from texts import texts
from welltuned.data.config import DataConfig
from welltuned.data.readers import streamed
from welltuned.data.readers.streamed import read_streamed
from welltuned.data.storage import on_disk
from welltuned.data.table import Table

MANY = "".join(json.dumps({"text": f"text {i}", "label": i % 2}) + "\n" for i in range(2500))
LATE = MANY + json.dumps({"text": None, "label": 1, "late": "x"}) + "\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(streamed, "AT_ONCE", 1100)


def both(path: Path, content: str | bytes, **config: Any) -> tuple[Table | None, Table | None]:
    """(as its own reader reads it, as it is read row by row)."""
    table, _ = attempt(path, content, **config)
    return table, read_streamed(path, str(path), DataConfig(train=str(path), **config))


def are_equal(one: Table | None, other: Table | None) -> bool:
    assert one is not None and other is not None
    told = [note for note in other.notes if note["code"] != "data.kept_on_disk"]
    assert list(one.columns) == list(other.columns)
    assert all(list(cells) == list(other.columns[name]) for name, cells in one.columns.items())
    assert (one.lines, one.readings, list(one.notes)) == (other.lines, other.readings, told)
    return True


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", MANY),
        ("a.jsonl", LATE),
        ("a.jsonl", '{"text": "a", "n": [1, {"b": 2}]}\n\n  \n{"n": 1.5, "text": "\\ud800"}'),
        ("a.jsonl", b'\xef\xbb\xbf{"text": "\xe4\xb8\xad"}\r\n{"text": "b"}\r\n'),
        ("a.ndjson", '{"text": "a\\r\\nb\u2028c"}\n{"label": null}\n'),
        ("a.csv", "text,label\none,a\ntwo,b\n"),
        ("a.csv", 'text,label\r\n"one, or\r\nso",a\r\n\r\n"say ""hi""",b\r\n'),
        ("a.csv", "text;label\none;a\ntwo;b\n"),
        ("a.csv", "first one,a\nsecond one,b\n" * 5),
        ("a.csv", "text\n\none\n"),
        ("a.csv", "text,label\n" + "".join(f"text {i},{i % 3}\n" for i in range(2500))),
        ("a.tsv", 'text\tlabel\nsay "hi\ta\n\n"b" c\tb\n'),
    ],
)
def test_tables_are_the_same_whichever_way_they_are_read(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert are_equal(*both(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "a"}\n[1]\n'),
        ("a.jsonl", '{"text": "a"}\n{"text": \n'),
        ("a.jsonl", '[\n{"text": "a"}\n]\n'),
        ("a.jsonl", '{"text": "a"}\r{"text": "b"}\n'),
        ("a.jsonl", b'{"text": "\xe9t\xe9"}\n'),
        ("a.jsonl", b'\xef\xbb\xbf\xef\xbb\xbf{"text": "a"}\n'),
        ("a.jsonl", " \n"),
        ("a.csv", "text,label\none\n"),
        ("a.csv", "text,label\none,a,\n"),
        ("a.csv", "text,label\none,a\n,\ntwo,b\n"),
        ("a.csv", 'text,label\n"one,a\n'),
        ("a.csv", "text,text\none,a\n"),
        ("a.csv", "text,\none,a\n"),
        ("a.csv", "\ntext,label\none,a\n"),
        ("a.tsv", "\ntext\tlabel\none\ta\n"),
        ("a.csv", "sep=;\ntext;label\none;a\n"),
        ("a.csv", "text,label\rone,a\n"),
        ("a.csv", "text,label\r\r\none,a\r\r\n"),
        ("a.csv", "text,label\n"),
        ("a.csv", "text,label\none\0,a\n"),
        ("a.json", '{"text": "a"}\n{"text": "b"}\n'),
        ("a.parquet", "no such thing"),
    ],
)
def test_what_is_in_doubt_is_left_to_the_formats_own_reader(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert both(tmp_path / name, content)[1] is None


def test_keys_that_ask_for_another_reading_are_left_to_it_too(tmp_path: Path) -> None:
    for config in ({"encoding": "cp1252"}, {"line_ends": "lf"}, {"json_path": "data"}):
        assert both(tmp_path / "a.jsonl", '{"text": "a"}\n', **config)[1] is None
    for header in (True, False):
        assert are_equal(*both(tmp_path / "a.csv", "one,a\ntwo,b\n", header=header))
    assert are_equal(*both(tmp_path / "a.csv", 'a,"b\nc,d\n', quoting="none", header=False))
    assert are_equal(
        *both(tmp_path / "a.tsv", 'a\tb\n"c\td"\te\n', quoting="standard", header=True)
    )


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(some.lists(some.lists(texts, min_size=2, max_size=2), min_size=1, max_size=4), some.data())
def test_whatever_is_written_is_read_alike_or_not_at_all(
    tmp_path: Path, rows: list[list[str]], data: Any
) -> None:
    name = data.draw(some.sampled_from(["a.csv", "a.tsv", "a.jsonl"]))
    end = data.draw(some.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    mark = data.draw(some.sampled_from([",", "\t", ";"]))
    as_json = [json.dumps(dict(enumerate(row)), ensure_ascii=False) for row in rows]
    lines = as_json if name == "a.jsonl" else [mark.join(row) for row in rows]
    content = end.join(lines).encode("utf-8", "surrogatepass")
    one, other = both(tmp_path / name, content)
    assert other is None or are_equal(one, other)


def test_parquet_is_read_in_batches_with_the_names_of_classes(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    feature = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    notes = {b"huggingface": json.dumps({"info": {"features": feature}}).encode()}
    cells = {"text": [f"text {i}" for i in range(2500)], "label": [i % 2 for i in range(2500)]}
    table = pyarrow.table({**cells, "n": [None, 1.5] * 1250}).replace_schema_metadata(notes)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=900)
    assert are_equal(*both(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes()))


def test_a_large_file_says_that_it_is_kept_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 40)
    small, _ = attempt(tmp_path / "a.jsonl", '{"text": "a"}\n')
    large, _ = attempt(tmp_path / "a.jsonl", '{"text": "a"}\n' * 3)
    assert small is not None and small.notes == ()
    assert large is not None and [note["code"] for note in large.notes] == ["data.kept_on_disk"]


def test_without_a_place_on_disk_it_is_read_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(on_disk, "LARGE", 0)
    table, faults = attempt(tmp_path / "a.jsonl", '{"text": "a"}\n')
    assert faults == [] and table is not None and table.columns == {"text": ["a"]}


def test_a_saved_data_set_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    cells = {"text": [f"text {i}" for i in range(2500)], "label": [i % 2 for i in range(2500)]}
    datasets.Dataset.from_dict(cells, features=features).save_to_disk(tmp_path / "saved")
    from reading import again

    small, _ = again(tmp_path / "saved")
    monkeypatch.setattr(on_disk, "LARGE", 1)
    assert are_equal(small, again(tmp_path / "saved")[0])
