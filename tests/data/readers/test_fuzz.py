"""Whatever a data file holds: a table, or faults that say why not; no other error, and an end."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as some

from fuzzing import NUMBERS, mutated, try_out
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.data.readers.formats import read_path
from welltuned.errors import Faults
from welltuned.tasks import AnyTask, Classification, Generation, Preference, TokenClassification

ROWS = [{"text": f"text, nümber {i} 👍", "label": "ab"[i % 2], "n": i} for i in range(6)]
TURNS = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "שלום"}]


def parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    held = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(ROWS), held)
    return held.getvalue()


def excel() -> bytes:
    book = pytest.importorskip("openpyxl").Workbook()
    for cells in (["text", "label"], ["good, _x0041_", 1], ["bad", "=1+1"], [None, True]):
        book.active.append(cells)
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


def excel_with(sheet: bytes) -> bytes:
    """The workbook with another sheet in it."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(excel())) as parts, zipfile.ZipFile(held, "w") as copy:
        for name in parts.namelist():
            copy.writestr(name, sheet if name.endswith("sheet1.xml") else parts.read(name))
    return held.getvalue()


def sheet_of(book: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        return parts.read("xl/worksheets/sheet1.xml")


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


CSV = "".join(f'"{row["text"]}",{row["label"]},{row["n"]}\n' for row in ROWS).encode()
PAIR = {"prompt": "was it?", "chosen": "good", "rejected": "bad", "score": 0.5}
SEEDS: dict[str, tuple[str, Callable[[], bytes], AnyTask]] = {
    "csv": ("a.csv", lambda: b"text,label,n\n" + CSV, Classification()),
    "tsv": ("a.tsv", lambda: b"text\tlabel\n" + b"a b\tx\r\nc\ty\n" * 4, Classification()),
    "json lines": ("a.jsonl", lambda: lines(ROWS), Classification()),
    "json array": ("a.json", lambda: json.dumps(ROWS, indent=1).encode(), Classification()),
    "json columns": (
        "a.json",
        lambda: b'{"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}}',
        Classification(),
    ),
    "json split": (
        "a.json",
        lambda: b'{"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 2]]}',
        Classification(),
    ),
    "conll": (
        "a.conll",
        lambda: "one O\nשני\tB-X\n\n# id = 1\ntwo O\n".encode() * 3,
        TokenClassification(),
    ),
    "text": ("a.txt", lambda: "one line\nשורה אחרת\r\n\n".encode() * 3, Generation()),
    "chat": ("a.jsonl", lambda: lines([{"messages": TURNS}] * 4), Generation()),
    "preferences": ("a.jsonl", lambda: lines([PAIR] * 4), Preference()),
    "parquet": ("a.parquet", parquet, Classification()),
    "excel": ("a.xlsx", excel, Classification()),
}

options = some.fixed_dictionaries(
    {},
    optional={
        "encoding": some.sampled_from(["auto", "utf-8", "utf-16", "cp1252", "gb18030", "idna"]),
        "header": some.sampled_from(["auto", True, False]),
        "quoting": some.sampled_from(["auto", "standard", "none"]),
        "line_ends": some.sampled_from(["auto", "any", "lf"]),
        "json_layout": some.sampled_from(["auto", "records", "columns", "index"]),
        "json_path": some.sampled_from(["data", "text.0", "a..b"]),
        "columns": some.fixed_dictionaries(
            {"text": some.sampled_from(["text", "text.²", "0", "x.0"])}
        ),
        "missing": some.sampled_from([[], ["a"], ["-1"]]),
    },
)


def check(name: str, task: AnyTask) -> Callable[[tuple[bytes, dict[str, Any]]], None]:
    """What must hold of any file: it is read whole, or said why not; and then so are its rows."""

    def hold(given: tuple[bytes, dict[str, Any]]) -> None:
        raw, config = given
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(raw)
            data, faults = DataConfig(train=str(file), **config), Faults()
            table = read_path(file, name, data, faults)
            assert table is not None or len(faults)
            if table is not None:
                assert {len(cells) for cells in table.columns.values()} <= {len(table)}
                assert all(line >= 1 for line in table.lines)
            told = Faults()
            splits = collect(data, task.roles, told, task.convert)
            problem = None if splits is None else task.bind(splits, 0.0, told)
            assert problem is not None or len(told)
            for fault in [*faults, *told]:
                assert fault.code and "\n" not in str(fault)

    return hold


def inputs(name: str, valid: bytes) -> some.SearchStrategy[tuple[bytes, dict[str, Any]]]:
    changed = mutated(valid)
    if name.endswith(".xlsx"):
        changed |= mutated(sheet_of(valid)).map(excel_with)
    return some.tuples(changed, options)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", SEEDS)
def test_a_file_in_which_pieces_are_changed(kind: str, number: int) -> None:
    name, seed, task = SEEDS[kind]
    try_out(number, inputs(name, seed()), check(name, task))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "json lines", "json array", "conll", "text"])
def test_a_file_of_any_bytes(kind: str, number: int) -> None:
    name, _, task = SEEDS[kind]
    raw = some.binary(max_size=200) | some.text(max_size=80).map(str.encode)
    try_out(number, some.tuples(raw, options), check(name, task))


def _silent(*given: object) -> None:
    return None


def _raising(*given: object) -> None:
    raise KeyError("x")


@pytest.mark.parametrize(("broken", "error"), [(_silent, AssertionError), (_raising, KeyError)])
def test_silence_and_an_error_that_is_not_ours_would_be_found(
    broken: Callable[..., None], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "read_path", broken)
    with pytest.raises(error):
        check("a.csv", Classification())((b"text,label\na,b\n", {}))
