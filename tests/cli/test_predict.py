"""`predict`: a row for every input, from wherever it comes, and back again."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answering import questions
from support import write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.cli.predict import _arrived
from welltuned.runs import Run

Answering = Callable[[str], Run]


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.split("\n") if line]


def short(rows: list[dict[str, Any]]) -> list[tuple[str, Any, bool]]:
    """(the id without folders, the text, whether there is an answer) of each row."""
    return [(Path(row["id"]).name, row["text"], row["prediction"] is not None) for row in rows]


# --- As many rows as inputs, in order ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("p.csv", 'text\nA lovely film\n""\nA dull film\n', 2),
        ("p.jsonl", '{"text":"A lovely film"}\n{"text":""}\n{"text":"A dull film"}\n', 1),
        ("p.txt", "A lovely film\n\nA dull film\n", 1),
        ("p.json", '[{"text":"A lovely film"},\n{"text":null},\n{"text":"A dull film"}]', 1),
        ("p.tsv", "text\tn\nA lovely film\t1\n \t2\nA dull film\t3\n", 2),
    ],
)
def test_an_empty_text_of_a_file_has_a_row_and_is_counted(
    name: str, content: str, first: int, answering: Answering, call: Any, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    status, out, err = call("predict", answering("single").folder, f"data={tmp_path / name}")
    assert short(rows_of(out)) == [
        (f"{name}:{first}", "A lovely film", True),
        (f"{name}:{first + 1}", "", False),
        (f"{name}:{first + 2}", "A dull film", True),
    ]
    assert status == 0 and "answered 2 of 3; 1 empty" in err and f"{name}:{first + 1}" in err
    _, _, err = call("predict", answering("single").folder, f"data={tmp_path / name}", "--json")
    counts = json.loads(err)
    assert (counts["rows"], counts["answered"], counts["empty"]) == (3, 2, 1)


def test_lines_are_answered_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a read ends with: a line, the middle of one, or of a letter."""
    chunks = [b"good\n", b"b\xc3", b"\xa4d\nfi", b"ne\r\n\nlast"]

    class Raw(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            chunk = chunks.pop(0) if chunks else b""
            buffer[: len(chunk)] = chunk
            return len(chunk)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Raw())))
    arrived = _arrived()
    assert next(arrived) == ["good"] and len(chunks) == 3
    assert list(arrived) == [["bäd"], ["fine", ""], ["last"]]


def test_a_mark_of_byte_order_is_text_but_at_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO("\ufeffgood\n\ufeffbad\n\ufeffroom".encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))
    assert list(_arrived()) == [["good", "\ufeffbad"], ["\ufeffroom"]]


def test_empty_lines_of_standard_input_have_rows(answering: Answering, call: Any) -> None:
    status, out, err = call(
        "predict", answering("single").folder, stdin="good film\r\n\n  \nbad room"
    )
    assert short(rows_of(out)) == [
        ("stdin:1", "good film", True),
        ("stdin:2", "", False),
        ("stdin:3", "  ", False),
        ("stdin:4", "bad room", True),
    ]
    assert status == 0 and "2 empty (stdin:2, stdin:3)" in err


def test_empty_arguments_have_rows(answering: Answering, call: Any) -> None:
    _, out, _ = call("predict", answering("single").folder, "good film", "", "bad")
    assert [row[2] for row in short(rows_of(out))] == [True, False, True]


def test_broken_rows_of_a_file_have_rows_that_say_so(
    answering: Answering, call: Any, tmp_path: Path
) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"text": "good"}\n{"text": \n["x"]\n{"text": "\\ud83d"}\n{"text": "bad"}\n')
    status, out, err = call("predict", answering("single").folder, f"data={file}")
    rows = rows_of(out)
    assert [row["id"].partition(":")[2] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row.get("code") for row in rows] == [
        None,
        "data.bad_json",
        "data.record_not_an_object",
        "predict.text_not_unicode",
        None,
    ]
    assert all("->" in row["reason"] for row in rows[1:4])
    assert status == 1 and "answered 2 of 5; 3 not readable" in err


def test_what_is_cut_is_said_in_the_row_and_counted(answering: Answering, call: Any) -> None:
    status, out, err = call("predict", answering("single").folder, "good", "bad " * 99)
    assert [row.get("cut") for row in rows_of(out)] == [None, True]
    assert status == 0 and "answered 2 of 2; 1 cut" in err and "argument:2" in err


def test_bytes_that_are_no_text_have_a_row(
    answering: Answering, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Piped(io.StringIO):
        buffer = io.BytesIO(b"\xef\xbb\xbfgood film\r\nb\xe9te\nbad\n")

    monkeypatch.setattr(io, "StringIO", Piped)
    status, out, _ = call("predict", answering("single").folder)
    rows = rows_of(out)
    assert [(row["text"], row.get("code")) for row in rows[::2]] == [
        ("good film", None),
        ("bad", None),
    ]
    assert (rows[1]["id"], rows[1]["code"], status) == ("stdin:2", "predict.input_not_utf8", 1)


def test_people_see_why_there_is_no_answer(
    answering: Answering, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout.__class__, "isatty", lambda self: True)
    _, out, _ = call("predict", answering("single").folder, "", "bad " * 99)
    first, second = out.splitlines()
    assert "empty" in first and "argument:1" in first and second.endswith("(cut)")


def test_columns_of_a_file_can_be_named(answering: Answering, call: Any, tmp_path: Path) -> None:
    """As the remedy of the fault says."""
    file = write_rows(tmp_path / "p.jsonl", [{"words": "good", "more": 1}])
    status, _, err = call("predict", answering("single").folder, f"data={file}")
    assert status == 2 and "add data.columns.text=NAME" in err
    status, out, _ = call(
        "predict", answering("single").folder, f"data={file}", "data.columns.text=words"
    )
    assert status == 0 and rows_of(out)[0]["text"] == "good"


# --- Pairs ---------------------------------------------------------------------------------


def test_a_tab_makes_no_pair_and_changes_no_neighbour(answering: Answering, call: Any) -> None:
    run, asked = answering("single").folder, ["good film", "bad\troom", "a film"]
    _, out, _ = call("predict", run, *asked)
    together = rows_of(out)
    assert [row["text"] for row in together] == asked
    for text, row in zip(asked, together, strict=True):
        _, out, _ = call("predict", run, text)
        (alone,) = rows_of(out)
        assert alone["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)


def test_a_model_of_pairs_says_how_to_give_them(
    answering: Answering, call: Any, tmp_path: Path
) -> None:
    """And each way that the remedy names works."""
    run = answering("pairs").folder
    status, out, _ = call("predict", run, stdin="good film\nbad\troom\n")
    rows = rows_of(out)
    assert [row["code"] for row in rows] == ["predict.input_missing"] * 2 and status == 1
    assert all(way in rows[0]["reason"] for way in ("--pair", "--jsonl", "columns"))
    ((first, second), *_) = questions("pairs")
    wanted = Predictor.load(run).predict([(first, second)])[0]["probabilities"]
    value = {"text": first, "text_pair": second}
    file = write_rows(tmp_path / "pairs.jsonl", [value])
    ways = (
        (["--pair", f"{first}\t{second}"], ""),
        (["--pair"], f"{first}\t{second}\n"),
        (["--jsonl"], json.dumps(value) + "\n"),
        (["--jsonl", json.dumps([first, second])], ""),
        ([f"data={file}"], ""),
    )
    for arguments, stdin in ways:
        status, out, _ = call("predict", run, *arguments, stdin=stdin)
        (row,) = rows_of(out)
        assert status == 0 and row["text"] == [first, second]
        assert row["probabilities"] == pytest.approx(wanted, abs=1e-5)


def test_a_model_of_one_text_refuses_pairs(answering: Answering, call: Any, tmp_path: Path) -> None:
    run = answering("single").folder
    status, out, _ = call("predict", run, "--pair", "good\tbad", "good")
    assert [row.get("code") for row in rows_of(out)] == ["predict.input_unexpected", None]
    assert status == 1
    file = write_rows(tmp_path / "pairs.jsonl", [{"text": "good", "text_pair": "bad"}])
    status, out, err = call("predict", run, f"data={file}")
    assert (status, out) == (2, "") and "[predict.input_unexpected]" in err


def test_lines_of_json_are_rows_and_strings(answering: Answering, call: Any) -> None:
    lines = [
        '{"text": "good\\nfilm", "id": "x"}',
        '"bad\\troom"',
        "{",
        "[1]",
        "",
        '{"a": "b", "c": 1}',
    ]
    status, out, _ = call("predict", answering("single").folder, "--jsonl", stdin="\n".join(lines))
    rows = rows_of(out)
    assert [row["id"] for row in rows] == ["x", *(f"stdin:{n}" for n in range(2, 7))]
    assert [row["text"] for row in rows[:2]] == ["good\nfilm", "bad\troom"]
    assert [row.get("code") for row in rows[2:]] == [
        "predict.input_not_json",
        "predict.input_of_wrong_type",
        "predict.text_empty",
        "predict.column_missing",
    ]
    assert status == 1


def test_options_that_contradict_are_refused(answering: Answering, call: Any) -> None:
    for options in (["--pair", "--jsonl"], ["--pair", "data=x.csv"], ["data=x.csv", "text"]):
        status, _, err = call("predict", answering("single").folder, *options)
        assert status == 2 and "[cli.predict_texts_or_file]" in err


# --- There and back ------------------------------------------------------------------------

_MARKS = ["\t", "\r", "\n", "\r\n", '"', "'", ",", ";", "\\", "--", "data=", "[SEP]", "NaN", "null"]
_SIGNS = ["\u2028", "\u0085", "\u200b", "\ufeff", "\u202e", "\x00", "e\u0301", "很好", "جيد"]
_EMOJI = ["\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f3f3\ufe0f\u200d\U0001f308"]
ODD = st.sampled_from([*_MARKS, *_SIGNS, *_EMOJI])
TEXTS = st.lists(
    st.one_of(
        st.lists(st.one_of(ODD, st.text(max_size=4)), max_size=6).map("".join),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    ),
    min_size=1,
    max_size=6,
)
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FEW
@given(texts=TEXTS)
def test_texts_come_back_from_a_file_with_their_ids(
    texts: list[str], answering: Answering, call: Any, tmp_path: Path
) -> None:
    run = answering("single").folder
    rows = [{"id": f"n{i}", "text": text} for i, text in enumerate(texts)]
    json_file, csv_file = tmp_path / "p.jsonl", tmp_path / "p.csv"
    json_file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for file, kept in ((json_file, rows), (csv_file, [r for r in rows if "\x00" not in r["text"]])):
        if file is csv_file:
            with file.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, ["id", "text"], quoting=csv.QUOTE_ALL)
                writer.writeheader()
                writer.writerows(kept)
        if not kept:
            continue
        out = tmp_path / "answers.jsonl"
        out.write_text(call("predict", run, f"data={file}")[1], encoding="utf-8")
        back = rows_of(out.read_text(encoding="utf-8"))
        assert [row["id"] for row in back] == [row["id"] for row in kept]
        for row, wanted in zip(back, kept, strict=True):
            blank = not wanted["text"].strip()
            assert row["text"] == ("" if blank else wanted["text"])
            assert (row["prediction"] is None) == blank


@FEW
@given(texts=TEXTS)
def test_texts_come_back_from_python_and_json_lines(
    texts: list[str], answering: Answering, call: Any
) -> None:
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    _, out, _ = call("predict", answering("single").folder, "--jsonl", stdin=lines)
    rows = rows_of(out)
    assert [row["text"] for row in rows] == texts
    assert [row["id"] for row in rows] == [f"stdin:{n}" for n in range(1, len(texts) + 1)]


def test_what_is_told_of_a_file_is_told_at_the_end(
    answering: Answering, call: Any, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    file.write_text("text;n\ngood film;1\n;\n")
    status, out, err = call("predict", answering("single").folder, f"data={file}")
    assert status == 0 and len(rows_of(out)) == 1
    assert "separated by" in err and "left out" in err
    _, _, err = call("predict", answering("single").folder, f"data={file}", "--json")
    counts = json.loads(err)
    assert (counts["answered"], len(counts["notes"])) == (1, 2)


def test_a_number_of_too_many_digits_has_a_row_that_says_so(
    answering: Answering, call: Any
) -> None:
    stdin = '{"text": "good"}\n{"text": %s}\n' % ("1" * 5000)
    status, out, _ = call("predict", answering("single").folder, "--jsonl", stdin=stdin)
    assert [row.get("code") for row in rows_of(out)] == [None, "predict.input_not_json"]
    assert status == 1


# --- Into a file ---------------------------------------------------------------------------


def read_back(file: Path) -> list[dict[str, Any]]:
    """The rows of a file of answers, whatever its format."""
    if file.suffix == ".jsonl":
        return rows_of(file.read_text(encoding="utf-8"))
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    found: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return found


@pytest.fixture
def asked_of(tmp_path: Path) -> str:
    """A file of five texts, of which one is empty and one cannot be read."""
    file = tmp_path / "p.jsonl"
    texts = ['{"text": "good film"}', '{"text": ""}', '{"text": ', '{"text": "=bad"}']
    file.write_text("\n".join([*texts, '{"text": "a room"}']) + "\n")
    return f"data={file}"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_of_answers_has_what_is_printed_otherwise(
    suffix: str, answering: Answering, call: Any, tmp_path: Path, asked_of: str
) -> None:
    run, out = answering("single").folder, tmp_path / f"out/a{suffix}"
    printed = rows_of(call("predict", run, asked_of)[1])
    status, told, err = call("predict", run, asked_of, f"out={out}")
    assert (status, told) == (1, f"{out}\n") and "answered 3 of 5" in err
    rows = read_back(out)
    assert [row["id"] for row in rows] == [row["id"] for row in printed]
    assert [row["prediction"] or None for row in rows] == [row["prediction"] for row in printed]
    assert [row.get("code") or None for row in rows] == [row.get("code") for row in printed]
    if suffix != ".jsonl":
        labels = printed[0]["probabilities"]
        assert {name: float(rows[0][f"probabilities.{name}"]) for name in labels} == labels
    else:
        assert rows == printed
    assert rows[3]["text"] == ("'=bad" if suffix == ".csv" else "=bad")


def test_a_finished_file_is_left_alone(
    answering: Answering, call: Any, tmp_path: Path, asked_of: str
) -> None:
    run, out = answering("single").folder, tmp_path / "a.csv"
    call("predict", run, asked_of, f"out={out}")
    before = out.read_bytes()
    status, told, err = call("predict", run, asked_of, f"out={out}")
    assert (status, told) == (0, f"{out}\n") and "finished already" in err
    (tmp_path / "p.jsonl").write_text('{"text": "another"}\n')
    status, _, err = call("predict", run, asked_of, f"out={out}")
    assert status == 2 and "[predict.out_of_another]" in err and "input was" in err
    assert out.read_bytes() == before


def test_a_file_that_was_stopped_goes_on(
    answering: Answering,
    call: Any,
    tmp_path: Path,
    asked_of: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C says how; what follows is what would have been there."""
    run, whole, out = answering("single").folder, tmp_path / "whole.csv", tmp_path / "a.csv"
    call("predict", run, asked_of, f"out={whole}")
    rows = Predictor.rows

    def interrupted(self: Predictor, *given: Any, **named: Any) -> Any:
        for i, row in enumerate(rows(self, *given, **named)):
            if i == 4:
                signal.raise_signal(signal.SIGINT)
            yield row

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "rows", interrupted)
        status, told, err = call("predict", run, asked_of, f"out={out}")
    assert (status, told) == (130, "") and "4 of 5 rows are written" in err
    assert f"welltuned predict {run} {asked_of} out={out}" in err
    assert out.read_bytes() and whole.read_bytes().startswith(out.read_bytes())
    status, told, err = call("predict", run, asked_of, f"out={out}")
    assert status == 1 and "4 rows already" in err and "answered 3 of 5" in err
    assert out.read_bytes() == whole.read_bytes()


def test_counts_of_a_file_are_json_for_programs(
    answering: Answering, call: Any, tmp_path: Path, asked_of: str
) -> None:
    run, out = answering("single").folder, tmp_path / "a.jsonl"
    _, told, err = call("predict", run, asked_of, f"out={out}", "--json")
    assert json.loads(err)["rows"] == 5 and told == f"{out}\n"
    _, _, err = call("predict", run, asked_of, f"out={out}", "--json")
    assert "finished already" in json.loads(err)["notes"][0]


def test_answers_go_into_a_file_where_texts_come_from_one(
    answering: Answering, call: Any, tmp_path: Path, asked_of: str
) -> None:
    run = answering("single").folder
    status, _, err = call("predict", run, "good", f"out={tmp_path / 'a.csv'}")
    assert status == 2 and "[cli.predict_out_without_file]" in err
    status, out, _ = call("predict", run, "out=of luck")
    assert status == 0 and rows_of(out)[0]["text"] == "out=of luck"
    status, _, err = call("predict", run, asked_of, "out=a.csv", "out=b.csv")
    assert status == 2 and "[cli.predict_texts_or_file]" in err
    status, _, err = call("predict", run, asked_of, "out=a.txt")
    assert status == 2 and "[predict.out_format_unknown]" in err
