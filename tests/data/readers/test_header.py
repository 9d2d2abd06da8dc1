"""Headers: names or data is told by evidence, asked for where it is weak, and set by a key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from reading import again, answers, attempt, fault_of_file, remedies, table_of_file
from welltuned.config import read_run_config
from welltuned.data.readers.header import USUAL_NAMES
from welltuned.errors import Faults
from welltuned.tasks import (
    Classification,
    Generation,
    Preference,
    Reward,
    Task,
    TokenClassification,
)

TASKS = (Classification, Generation, Preference, Reward, TokenClassification)

LONG = [f"A {word} film from its start to the end" for word in ("dull", "great", "fine", "weak")]
LABELS = ["neg", "pos", "pos", "neg"]


def write(rows: Sequence[Sequence[str]], suffix: str = "csv") -> str:
    mark = "\t" if suffix == "tsv" else ","
    return "".join(mark.join(row) + "\n" for row in rows)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_first_row_like_the_rows_below_is_data(suffix: str, tmp_path: Path) -> None:
    rows = list(zip(LONG, LABELS, strict=True))
    table = table_of_file(tmp_path / f"a.{suffix}", write(rows, suffix))
    assert table.columns == {"0": LONG, "1": LABELS} and table.lines == [1, 2, 3, 4]
    assert answers(table) == {"header": "data"}
    assert "data.header=true" in table.readings[0].said["say"].format(
        **table.readings[0].said["values"]
    )


@pytest.mark.parametrize(
    "names",
    [["text", "label"], ["0", "1"], ["Satz", "Meinung"], ["review text", "polarity"]],
    ids=" ".join,
)
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_first_row_unlike_them_holds_names(names: list[str], suffix: str, tmp_path: Path) -> None:
    rows = [names, *zip(LONG, LABELS, strict=True)]
    table = table_of_file(tmp_path / f"a.{suffix}", write(rows, suffix))
    assert table.columns == {names[0]: LONG, names[1]: LABELS}
    assert answers(table) == ({"header": "names"} if names == ["0", "1"] else {})


@pytest.mark.parametrize(
    ("rows", "picked"),
    [
        ([("great", "1"), ("weak", "0"), ("good", "1")], "data"),
        ([("polarity", "score"), ("a", "1"), ("b", "0")], None),
        ([("3.5", "7"), ("2.5", "8"), ("1", "3")], "data"),
        ([("spam", "hi"), ("ham", "ho"), ("spam", "hu")], "data"),
        ([("text", "spam"), ("hi", "spam"), ("ho", "ham")], "names"),
    ],
)
def test_what_tells_names_from_data(
    rows: list[tuple[str, ...]], picked: str | None, tmp_path: Path
) -> None:
    table = table_of_file(tmp_path / "a.csv", write(rows))
    assert answers(table) == ({"header": picked} if picked else {})
    assert len(table) == len(rows) - (picked != "data")


def test_a_name_that_the_mapping_has_is_a_name(tmp_path: Path) -> None:
    rows = [("spam", "hi"), ("ham", "ho"), ("spam", "hu")]
    table = table_of_file(tmp_path / "a.csv", write(rows), columns={"label": "spam"})
    assert table.columns == {"spam": ["ham", "spam"], "hi": ["ho", "hu"]}


def test_a_mapping_of_numbers_says_that_there_are_no_names(tmp_path: Path) -> None:
    """But not where the first row speaks for names: then the numbers are no columns."""
    bare = write([("hi", "x"), ("ho", "y"), ("hu", "z")])
    assert list(table_of_file(tmp_path / "a.csv", bare).columns) == ["hi", "x"]
    table = table_of_file(tmp_path / "a.csv", bare, columns={"text": "0"})
    assert table.columns["0"] == ["hi", "ho", "hu"] and answers(table) == {"header": "data"}
    named = write([("text", "label"), *zip(LONG, LABELS, strict=True)])
    table = table_of_file(tmp_path / "a.csv", named, columns={"text": "0"})
    assert list(table.columns) == ["text", "label"]


def test_where_columns_contradict_it_asks_and_both_remedies_work(tmp_path: Path) -> None:
    rows = [("verdict", LONG[0]), *((str(i), LONG[i]) for i in range(1, 4))]
    path = tmp_path / "a.csv"
    fault = fault_of_file(path, write(rows), "data.header_unclear")
    assert remedies(fault) == [{"header": "true"}, {"header": "false"}]
    named, _ = again(path, **remedies(fault)[0])
    numbered, _ = again(path, **remedies(fault)[1])
    assert named is not None and list(named.columns) == ["verdict", LONG[0]]
    assert numbered is not None and list(numbered.columns) == ["0", "1"]
    assert len(named) == 3 and len(numbered) == 4


@pytest.mark.parametrize("header", [True, False])
def test_the_key_decides_against_all_evidence(header: bool, tmp_path: Path) -> None:
    rows = list(zip(LONG, LABELS, strict=True))
    table = table_of_file(tmp_path / "a.csv", write(rows), header=header)
    assert len(table) == 4 - header and table.readings == ()


def test_numbers_name_columns_on_the_line_and_in_yaml(tmp_path: Path) -> None:
    written = tmp_path / "a.yaml"
    written.write_text("model: m\ndata: {train: a.csv, columns: {text: 0, label: 1}}\n")
    from_yaml, _ = read_run_config(written, [], faults := Faults())
    written.write_text("model: m\ndata: a.csv\n")
    line = ["data.columns.text=0", "data.columns.label=1"]
    from_line, _ = read_run_config(written, line, faults)
    assert list(faults) == [] and from_yaml is not None and from_line is not None
    assert from_yaml.data.columns == from_line.data.columns == {"text": "0", "label": "1"}


def test_a_single_row_has_names_as_ever(tmp_path: Path) -> None:
    _, faults = attempt(tmp_path / "a.csv", "text,label\n")
    assert [fault.code for fault in faults] == ["data.no_rows"]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_the_names_that_tasks_look_for_are_usual(task: type[Task]) -> None:
    """But for spellings of one that stands there."""
    names = {name for role in task.roles for name in role.candidates}
    spelt = {re.sub(r"sentence[ _]?(id|no|number)", "sentence_id", name) for name in names}
    assert spelt - USUAL_NAMES == set()
