"""Tables as clean records: what is missing or empty is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import noted
from gathering import gather, good
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect_file
from welltuned.errors import Faults
from welltuned.tasks import TokenClassification


def test_empty_texts_are_left_out_counted_and_located(three: Any) -> None:
    collected = good(**three(["a", " ", "c", "\t", "e"], ["f", "g"], ["h"]))
    assert collected.train["text"] == ["a", "c", "e"]
    assert collected.train.lines == [1, 3, 5]
    assert collected.facts.splits["train"].empty == 2
    (note,) = noted(collected.facts.notes)
    assert note == "data.empty_left_out source=train.jsonl number=2 lines=2, 4"


def test_a_file_of_empty_texts_alone_is_refused(three: Any) -> None:
    _, faults = gather(**three([" ", ""], ["a"], ["b"]))
    assert faults == ["train.jsonl:1 data.no_texts"]


@pytest.mark.parametrize("cell", ["null", '""', '"  "', "NaN"])
def test_a_missing_label_is_refused_at_its_line(tmp_path: Path, cell: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in make_rows(50))
    (tmp_path / "a.jsonl").write_text(lines + f'{{"text": "one more", "label": {cell}}}\n')
    _, faults = gather(str(tmp_path / "a.jsonl"))
    assert faults == ["a.jsonl:51 data.cell_missing role=label column=label"]


def test_many_missing_labels_are_counted_for_each_file(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "a.jsonl", [{"text": str(i), "label": ""} for i in range(15)])
    test = write_rows(tmp_path / "b.jsonl", [{"text": f"t{i}", "label": ""} for i in range(3)])
    _, faults = gather(train, test=test)
    assert sum("a.jsonl:" in fault for fault in faults) == 10
    assert sum("b.jsonl:" in fault for fault in faults) == 3
    assert faults[-1] == "a.jsonl data.cell_missing more=5"


@pytest.mark.parametrize(
    ("name", "content", "number"),
    [("a.csv", "text,label\na\nb\n", 2), ("a.jsonl", "{\n{\n{\n", 3), ("a.jsonl", "1\n", 1)],
)
def test_a_file_without_one_sound_row_tells_its_faults_and_no_others(
    tmp_path: Path, name: str, content: str, number: int
) -> None:
    (tmp_path / name).write_text(content)
    _, faults = gather(str(tmp_path / name))
    assert len(faults) == number
    assert not any("data.column_missing" in fault for fault in faults)


def test_numbers_as_texts_are_read_as_text(tmp_path: Path) -> None:
    given = [{"text": i, "label": i % 2} for i in range(40)]
    collected = good(write_rows(tmp_path / "a.jsonl", given))
    assert {type(text) for text in collected.train["text"]} == {str}


def test_columns_that_are_not_used_are_told(tmp_path: Path) -> None:
    given = [{**row, "junk": 1} for row in make_rows(40)]
    facts = good(write_rows(tmp_path / "a.jsonl", given)).facts
    assert facts.columns == {"text": "text", "label": "label"}
    assert facts.unused_columns == ["junk"]


def test_a_wrong_column_is_told_for_every_file(three: Any) -> None:
    _, faults = gather(**three(["a"], ["b"], ["c"]), columns={"text": "txet"})
    assert [fault.split()[0] for fault in faults] == [
        "train.jsonl:1",
        "validation.jsonl:1",
        "test.jsonl:1",
    ]
    assert all("data.column_unknown column=txet role=text" in fault for fault in faults)
    assert all("did you mean 'text'?" in fault for fault in faults)


def test_faults_of_all_files_show_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": "b"}\n{\n')
    (tmp_path / "b.csv").write_bytes(b"text,label\n" + b"caf\xe9,a\n" + "été,b\n".encode() * 3)
    test = str(tmp_path / "c.csv")
    _, faults = gather(str(tmp_path / "a.jsonl"), validation=str(tmp_path / "b.csv"), test=test)
    told = "\n".join(faults)
    for part in ("a.jsonl:2:2 data.bad_json", "b.csv:2:4 data.not_utf8", "c.csv data.file_missing"):
        assert part in told


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (["Ada", "sings"], [0, 1.0]),
        ("['Ada', 'sings']", "[0, 1]"),
        ('["Ada", "sings"]', '["0", "1.0"]'),
        ("['Ada' 'sings']", "[0 1]"),
        ("Ada sings", "0 1"),
        ("Ada|sings", "0|1"),
        ("Ada sings", "0|1"),
    ],
)
def test_words_and_tags_are_lists_however_they_are_written(
    tmp_path: Path, words: Any, tags: Any
) -> None:
    given = [{"words": words, "tags": tags}, {"words": ["no"], "tags": ["0.0"]}] * 10
    config = DataConfig(train=write_rows(tmp_path / "a.jsonl", given), duplicates="keep")
    records = collect_file(config.train, config, TokenClassification.roles, faults := Faults())
    assert list(faults) == [] and records is not None
    assert (records["words"][0], records["tags"][0]) == (["Ada", "sings"], ["0", "1"])
    assert records["tags"][1] == ["0"]


def test_a_sign_in_a_sentence_of_words_parts_none(tmp_path: Path) -> None:
    given = [{"words": "a|b c", "tags": "x y"}, {"words": "d", "tags": "x"}]
    config = DataConfig(train=write_rows(tmp_path / "a.jsonl", given))
    records = collect_file(config.train, config, TokenClassification.roles, Faults())
    assert records is not None and records["words"] == [["a|b", "c"], ["d"]]


@pytest.mark.parametrize(
    "half", ['"text": "a \\ud83d", "label": "a"', '"text": "b", "label": "\\ud83d"']
)
def test_half_a_character_is_refused_at_its_line(tmp_path: Path, half: str) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in make_rows(50))
    (tmp_path / "a.jsonl").write_text(f"{lines}{{{half}}}\n")
    _, faults = gather(str(tmp_path / "a.jsonl"))
    assert faults == ["a.jsonl:51 data.half_character"]
