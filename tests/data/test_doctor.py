"""The data doctor: every kind of bad data in every format, told with its line, all at once.

Nothing here has a model, so nothing here can have waited for one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from faults import brief, noted
from gathering import bind
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.errors import Faults
from welltuned.tasks import AnyTask, Generation, Preference, Reward, TokenClassification

Rows = Sequence[dict[str, Any]]


def delimited(mark: str) -> Callable[[Rows], bytes]:
    def write(rows: Rows) -> bytes:
        lines = [list(rows[0]), *([row[name] or "" for name in rows[0]] for row in rows)]
        return "".join(mark.join(cells) + "\n" for cells in lines).encode()

    return write


def jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def array(rows: Rows) -> bytes:
    return b"[\n" + jsonl(rows).rstrip(b"\n").replace(b"\n", b",\n") + b"\n]\n"


def parquet(rows: Rows) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    written = pytest.importorskip("pyarrow.parquet")
    held = io.BytesIO()
    written.write_table(pyarrow.Table.from_pylist(list(rows)), held)
    return held.getvalue()


def excel(rows: Rows) -> bytes:
    book = pytest.importorskip("openpyxl").Workbook()
    for cells in [list(rows[0]), *(list(row.values()) for row in rows)]:
        book.active.append(cells)
    held = io.BytesIO()
    book.save(held)
    return held.getvalue()


FORMATS: dict[str, tuple[Callable[[Rows], bytes], int]] = {
    "csv": (delimited(","), 2),
    "tsv": (delimited("\t"), 2),
    "jsonl": (jsonl, 1),
    "json": (array, 2),
    "parquet": (parquet, 1),
    "xlsx": (excel, 2),
}
"""How rows are written in each format of tables, and the line of the first."""
TEXT = ("csv", "tsv", "jsonl", "json")
ODD = ("shalom שלום", "مرحبا\u200f", "👩\u200d💻 family", "e\u0301 \U0001d54f", "\u202eeman")
"""Emoji, right-to-left scripts and marks, characters beyond the basic plane."""


def some_rows(number: int = 40) -> list[dict[str, Any]]:
    texts = [*ODD, *(f"text number {i}" for i in range(number))][:number]
    return [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]


class Doctor:
    """Files of one format, and what is said of them."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.write, self.first = FORMATS[kind]
        self.kind, self.folder = kind, folder

    def file(self, rows: Rows | bytes, name: str = "a") -> str:
        file = self.folder / f"{name}.{self.kind}"
        file.write_bytes(rows if isinstance(rows, bytes) else self.write(rows))
        return str(file)

    def told(self, rows: Rows | bytes, **config: Any) -> list[str]:
        """The places and codes of all faults."""
        _, _, faults = bind(self.file(rows), **config)
        return [" ".join(fault.split()[:2]) for fault in faults]

    def at(self, *numbers: int) -> list[str]:
        """The places of rows, counted from 0."""
        return [f"a.{self.kind}:{self.first + number}" for number in numbers]


@pytest.fixture(params=list(FORMATS))
def doctor(request: pytest.FixtureRequest, tmp_path: Path) -> Doctor:
    return Doctor(request.param, tmp_path)


@pytest.fixture(params=TEXT)
def text_doctor(request: pytest.FixtureRequest, tmp_path: Path) -> Doctor:
    return Doctor(request.param, tmp_path)


# --- Of bytes ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*FORMATS, "conll", "txt"])
@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"train.{kind}").write_bytes(content)
    for given in (tmp_path, tmp_path / f"train.{kind}"):  # the folder, too
        _, _, faults = bind(str(given))
        assert faults == [f"train.{kind} data.file_empty"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_marks_of_byte_order_windows_line_ends_and_odd_characters_change_nothing(
    text_doctor: Doctor, mark: bytes, end: bytes
) -> None:
    raw = mark + text_doctor.write(some_rows()).replace(b"\n", end)
    data, problem, faults = bind(text_doctor.file(raw))
    assert faults == [] and data is not None and problem.labels == ("a", "b")
    parts = data.train, data.validation, data.test
    texts = [
        (line, text) for part in parts for line, text in zip(part.lines, part["text"], strict=True)
    ]
    first = text_doctor.first
    assert sorted(texts) == [(first + i, row["text"]) for i, row in enumerate(some_rows())]


def test_odd_characters_of_other_formats(doctor: Doctor) -> None:
    data, _, faults = bind(doctor.file(some_rows()))
    assert faults == [] and data is not None
    texts = [text for part in (data.train, data.validation, data.test) for text in part["text"]]
    assert sorted(texts) == sorted(row["text"] for row in some_rows())


def test_bytes_that_are_no_utf8(text_doctor: Doctor) -> None:
    lines = text_doctor.write(some_rows()).splitlines(keepends=True)
    for number in (text_doctor.first + 7, text_doctor.first + 9):
        lines[number] = lines[number].replace(b"number", b"numb\xff")
    column = lines[text_doctor.first + 7].index(b"\xff") + 1
    assert text_doctor.told(b"".join(lines)) == [
        f"{place}:{column} data.not_utf8" for place in text_doctor.at(8, 10)
    ]


BROKEN = [
    ("csv", b"text number 9,", b"text number 9,,,", ["a.csv:16:3 data.csv_width"]),
    ("csv", b"text number 9,", b'"text number 9,', ["a.csv:16 data.csv_malformed"]),
    ("tsv", b"text number 9\t", b"text number 9 ", ["a.tsv:16:2 data.csv_width"]),
    ("jsonl", b'"text number 9"', b'"text number 9', ["a.jsonl:15:"]),
    ("json", b'"text number 9"', b'"text number 9', ["a.json:16:"]),
]


@pytest.mark.parametrize(("kind", "old", "new", "told"), BROKEN)
def test_a_row_that_is_broken(
    kind: str, old: bytes, new: bytes, told: list[str], tmp_path: Path
) -> None:
    doctor = Doctor(kind, tmp_path)
    found = doctor.told(doctor.write(some_rows()).replace(old, new))
    assert len(found) == 1 and found[0].startswith(told[0])


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_a_file_that_was_cut_off(kind: str, tmp_path: Path) -> None:
    doctor = Doctor(kind, tmp_path)
    code = {"parquet": "data.bad_parquet", "xlsx": "data.bad_excel"}[kind]
    assert doctor.told(doctor.write(some_rows())[:-60]) == [f"a.{kind} {code}"]


def test_every_broken_line_is_told_with_what_else_is_wrong(tmp_path: Path) -> None:
    rows = some_rows()
    rows[20]["label"] = None
    lines = jsonl(rows).splitlines(keepends=True)
    lines[3] = lines[9] = b'{"text": \n'
    assert Doctor("jsonl", tmp_path).told(b"".join(lines)) == [
        "a.jsonl:4:10 data.bad_json",
        "a.jsonl:10:10 data.bad_json",
        "a.jsonl:21 data.cell_missing",
    ]


# --- Of rows ---------------------------------------------------------------------


def test_a_column_that_is_not_there(doctor: Doctor) -> None:
    header = f"a.{doctor.kind}:1"
    assert (
        doctor.told(some_rows(), columns={"text": "words", "label": "lable"})
        == [f"{header} data.column_unknown"] * 2
    )
    other = [{"one": row["text"], "two": row["label"], "three": row["text"]} for row in some_rows()]
    assert doctor.told(other) == [f"{header} data.column_missing"] * 2


def test_answers_that_are_empty(doctor: Doctor) -> None:
    rows = some_rows()
    rows[3]["label"], rows[8]["label"] = "", None
    assert doctor.told(rows) == [f"{place} data.cell_missing" for place in doctor.at(3, 8)]


def test_one_class(doctor: Doctor) -> None:
    rows = [{**row, "label": "a"} for row in some_rows()]
    assert doctor.told(rows) == [f"{doctor.at(0)[0]} task.too_few_classes"]


def test_rows_that_are_repeated(doctor: Doctor) -> None:
    rows = some_rows()
    rows[12]["text"] = rows[10]["text"].upper()
    data, _, faults = bind(doctor.file(rows))
    assert faults == [] and data is not None
    repeats = [note for note in noted(data.facts.notes) if note.startswith("data.repeats")]
    (line,) = (place.rpartition(":")[2] for place in doctor.at(12))
    assert repeats == [f"data.repeats split=train number=1 lines={line}"]


def test_a_text_of_training_in_the_test_file(doctor: Doctor) -> None:
    new = [{"text": f"new {i}", "label": "ab"[i % 2]} for i in range(8)]
    other = doctor.file([*new, some_rows()[9]], "b")
    told = doctor.told(some_rows(), test=other)
    assert told == [f"b.{doctor.kind}:{doctor.first + 8} data.duplicates_across_splits"]


def test_a_single_row(doctor: Doctor) -> None:
    assert doctor.told(some_rows(1)) == [f"a.{doctor.kind} data.too_few_to_split"]


# --- Of sentences, conversations and preferences -----------------------------------


def told(task: Any, file: Path) -> list[str]:
    faults = Faults()
    collect(DataConfig(train=str(file)), task.roles, faults, task.convert)
    return brief(faults)


def test_sentences_word_by_word(tmp_path: Path) -> None:
    file, task = tmp_path / "a.conll", TokenClassification()
    good = "".join(f"word{i} O\nשלום B-X\n\n" for i in range(20))
    file.write_text(good + "one O\ntwo\n\nthree\tO\n\tB-X\n\nfour O O\n")
    assert told(task, file) == [
        "a.conll:62 data.conll_width",
        "a.conll:65 data.conll_cell_missing",
        "a.conll:67 data.conll_width",
    ]
    file.write_bytes(good.encode() + b"caf\xe9 O\n\nna\xefve O\n")
    assert told(task, file) == ["a.conll:61:4 data.not_utf8", "a.conll:63:3 data.not_utf8"]


def test_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("שלום\n".encode() * 9 + b"caf\xe9\n")
    assert told(Generation(), file) == ["a.txt:10:4 data.not_utf8"]


def chat(*roles: str, said: str = "hello") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"{said} {i}"} for i, role in enumerate(roles)]}


def test_turns_of_nobody(tmp_path: Path) -> None:
    rows = [chat("user", "assistant", said=f"hello {i}") for i in range(20)]
    rows[4], rows[7] = chat("user", "asistant"), {"messages": [{"content": "hi"}]}
    rows[9] = {"messages": "hi"}
    write_rows(tmp_path / "a.jsonl", rows)
    assert told(Generation(), tmp_path / "a.jsonl") == [
        "a.jsonl:5 data.turn_role_unknown",
        "a.jsonl:8 data.turn_without_role",
        "a.jsonl:10 data.cell_not_a_list",
    ]


def test_answers_of_conversations_that_are_empty(tmp_path: Path) -> None:
    rows = [chat("user", "assistant", said=f"hello {i}") for i in range(20)]
    rows[6], rows[8] = chat("user"), {"messages": []}
    write_rows(tmp_path / "a.jsonl", rows)
    assert told(Generation(), tmp_path / "a.jsonl") == [
        "a.jsonl:7 data.no_assistant_turn",
        "a.jsonl:9 data.no_assistant_turn",
    ]


PAIRS = [
    {"prompt": f"was it {i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(20)
]


@pytest.mark.parametrize("task", [Preference(), Reward()])
def test_preferences_without_an_answer_or_a_prompt(task: AnyTask, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in PAIRS]
    rows[9]["rejected"], rows[11]["prompt"] = None, ""
    write_rows(tmp_path / "a.jsonl", rows)
    assert told(task, tmp_path / "a.jsonl") == [
        "a.jsonl:10 data.cell_missing",
        "a.jsonl:12 data.cell_missing",
    ]


def test_preferences_that_prefer_nothing_are_left_out_and_told(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in PAIRS]
    rows[4]["chosen"], rows[7]["rejected"] = "", rows[7]["chosen"]
    write_rows(tmp_path / "a.jsonl", rows)
    task, config = Preference(), DataConfig(train=str(tmp_path / "a.jsonl"))
    data = collect(config, task.roles, Faults(), task.convert)
    assert data is not None
    notes = {note["code"]: note["values"] for note in data.facts.notes}
    assert notes["data.responses_empty"]["lines"] == "5"
    assert notes["data.responses_same"]["lines"] == "8"
