"""Tables of one word a row: grouped by a column or by blank rows, and else asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faults import brief, codes
from reading import again, answers
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults
from welltuned.tasks import TokenClassification

TASK = TokenClassification()
KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Ada,NN,B-PER
,sings,VB,O
Sentence: 2,Oslo,NN,B-LOC
,0,CD,O
,Ada,NN,B-PER
"""
WORDS, TAGS = [["Ada", "sings"], ["Oslo", "0", "Ada"]], [["B-PER", "O"], ["B-LOC", "O", "B-PER"]]


def convert(path: Path, content: str, **config: Any) -> tuple[Table, list[Fault]]:
    path.write_text(content, encoding="utf-8")
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path), **config), faults)
    assert table is not None
    return TASK.convert(table, config.get("columns", {}), faults), list(faults)


def test_sentences_are_grouped_by_a_column_filled_at_the_first_word(tmp_path: Path) -> None:
    table, faults = convert(tmp_path / "a.csv", KAGGLE)
    assert faults == []
    assert (table.columns["Word"], table.columns["Tag"]) == (WORDS, TAGS)
    assert table.lines == [2, 4] and table.columns["POS"][0] == ["NN", "VB"]
    assert answers(table)["sentences"] == "Sentence #"
    assert table.readings[-1].said["values"]["number"] == 2


@pytest.mark.parametrize("name", ["sentence_id", "Sentence_idx", "sent_id"])
def test_a_column_filled_at_every_word_will_do(name: str, tmp_path: Path) -> None:
    content = f"{name},token,label\n1,Ada,B-PER\n1,sings,O\n2,Oslo,B-LOC\n2,0,O\n1,Ada,O\n"
    table, faults = convert(tmp_path / "a.csv", content)
    assert faults == [] and table.columns["token"] == [["Ada", "sings"], ["Oslo", "0"], ["Ada"]]


@pytest.mark.parametrize("blank", [",", ""])
def test_blank_rows_part_sentences(blank: str, tmp_path: Path) -> None:
    content = f"word,tag\nAda,B-PER\nsings,O\n{blank}\nOslo,B-LOC\n0,O\nAda,B-PER\n"
    table, faults = convert(tmp_path / "a.csv", content)
    assert faults == [] and (table.columns["word"], table.columns["tag"]) == (WORDS, TAGS)
    assert answers(table)["sentences"] == "blank rows"


UNGROUPED = "number,word,tag\n1,Ada,B-PER\n1,sings,O\n2,Oslo,B-LOC\n"


def test_where_nothing_says_it_asks_and_its_remedy_works(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table, faults = convert(path, UNGROUPED)
    assert brief(faults) == ["a.csv:2 data.sentences_unclear"] and not len(table)
    assert "data.columns.sentence=NAME" in faults[0].remedy
    table, faults = convert(path, UNGROUPED, columns={"sentence": "number"})
    assert faults == [] and table.columns["word"] == [["Ada", "sings"], ["Oslo"]]


def test_a_column_that_has_a_new_value_at_every_word_groups_nothing(tmp_path: Path) -> None:
    content = "sentence_id,word,tag\n1,Ada,B-PER\n2,sings,O\n3,Oslo,B-LOC\n"
    _, faults = convert(tmp_path / "a.csv", content)
    assert codes(faults) == ["data.sentences_unclear"]
    table, faults = convert(tmp_path / "a.csv", content, columns={"sentence": "sentence_id"})
    assert faults == [] and table.columns["word"] == [["Ada"], ["sings"], ["Oslo"]]


def test_a_row_without_a_word_or_tag_is_told(tmp_path: Path) -> None:
    content = "sentence_id,word,tag\n1,Ada,B-PER\n1,,O\n2,Oslo,\n"
    _, faults = convert(tmp_path / "a.csv", content)
    assert brief(faults) == ["a.csv:3 data.conll_cell_missing", "a.csv:4 data.conll_cell_missing"]


@pytest.mark.parametrize(
    "rows",
    [
        [{"tokens": ["Ada"], "tags": ["O"], "sentence_id": 1}] * 3,
        [{"text": "Ada sings", "tags": "B-PER O"}, {"text": "Oslo", "tags": "B-LOC"}],
        [{"text": "Ada"}, {"text": "Oslo"}],
        [{"word": "Ada", "tag": "O"}],
    ],
    ids=["lists", "texts", "without tags", "a single one"],
)
def test_other_tables_stay_as_they_are(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    content = "".join(json.dumps(row) + "\n" for row in rows)
    table, faults = convert(tmp_path / "a.jsonl", content)
    assert faults == [] and table == again(tmp_path / "a.jsonl")[0]


def test_splits_are_cut_between_sentences(tmp_path: Path) -> None:
    rows = "".join(f"Sentence: {i},Ada{i},B-PER\n,sings,O\n,here,O\n" for i in range(40))
    (tmp_path / "a.csv").write_text("Sentence #,Word,Tag\n" + rows)
    config = DataConfig(train=str(tmp_path / "a.csv"), duplicates="keep")
    data = collect(config, TASK.roles, faults := Faults(), TASK.convert)
    assert not len(faults) and data is not None
    assert all(len(words) == 3 for split in ("train", "test") for words in data[split]["words"])
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert [reading.question for reading in data.facts.readings] == ["sentences"]
