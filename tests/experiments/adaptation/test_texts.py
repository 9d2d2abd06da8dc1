"""Which texts are read, and which are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import noted, refused
from support import make_rows, write_rows
from welltuned.errors import Faults, InputError
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.texts import collect_reading
from welltuned.training.preparation.data_cache import DataCache

Asking = Callable[..., AdaptConfig]
NEW = [row["text"] for row in make_rows(60, seed=9)]


def held_out(asking: Asking) -> str:
    """A text of the test split."""
    config = asking()
    data = config.data.model_copy(update={"unlabelled": None})
    splits = DataCache().splits(data, config.task, Faults())
    assert splits is not None
    return str(splits.test["text"][0])


def test_unlabelled_texts_and_those_of_training_each_once(asking: Asking) -> None:
    reading = collect_reading(asking(), DataCache())
    labelled = {row["text"] for row in make_rows(60)}
    assert reading.texts[:60] == NEW
    assert set(reading.texts[60:]) < labelled, "validation and test texts are not among them"
    assert len(reading.texts) == 60 + 48


def test_training_texts_alone(asking: Asking) -> None:
    reading = collect_reading(asking(data={"unlabelled": None}), DataCache())
    assert len(reading.texts) == 48


def test_unlabelled_texts_alone(asking: Asking) -> None:
    reading = collect_reading(asking(adaptation={"training_texts": False}), DataCache())
    assert reading.texts == NEW


def test_a_text_that_is_tested_on_is_refused_with_its_line(asking: Asking, tmp_path: Path) -> None:
    shared = held_out(asking).upper()
    file = write_rows(tmp_path / "shared.jsonl", [{"text": text} for text in (*NEW, shared)])
    with refused("adapt.unlabelled_in_test", number=1, lines="61"):
        collect_reading(asking(data={"unlabelled": file}), DataCache())


@pytest.mark.parametrize(
    ("asked", "told", "more"),
    [
        ("drop", "adapt.held_out_texts_left_out", 0),
        ("keep", "adapt.held_out_texts_read", 1),
    ],
)
def test_or_left_out_or_read_as_asked_and_counted(
    asking: Asking, tmp_path: Path, asked: str, told: str, more: int
) -> None:
    rows = [{"text": text} for text in (*NEW, held_out(asking))]
    file = write_rows(tmp_path / "shared.jsonl", rows)
    config = asking(
        data={"unlabelled": file, "duplicates": asked}, adaptation={"training_texts": False}
    )
    reading = collect_reading(config, DataCache())
    assert len(reading.texts) == 60 + more
    assert [note["code"] for note in reading.notes] == [told]
    assert noted(reading.notes)


def test_repeated_texts_are_read_once_and_counted(asking: Asking, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "twice.jsonl", [{"text": text} for text in NEW * 2])
    config = asking(data={"unlabelled": file}, adaptation={"training_texts": False})
    reading = collect_reading(config, DataCache())
    assert reading.texts == NEW
    assert reading.notes[0]["values"] == {"number": 60, "total": 120}


def test_a_column_of_another_name(asking: Asking, tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("number,body\n" + "".join(f"{i},{text}\n" for i, text in enumerate(NEW)))
    named = {"data": str(file), "columns": {"text": "body"}}
    config = asking(data={"unlabelled": named}, adaptation={"training_texts": False})
    assert collect_reading(config, DataCache()).texts == NEW


def test_an_empty_file_is_refused(asking: Asking, tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("")
    with pytest.raises(InputError) as caught:
        collect_reading(asking(data={"unlabelled": str(file)}), DataCache())
    assert str(file) in str(caught.value)


def test_nothing_is_left_where_all_texts_are_tested_on(asking: Asking, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "shared.jsonl", [{"text": held_out(asking)}])
    config = asking(
        data={"unlabelled": file, "duplicates": "drop"}, adaptation={"training_texts": False}
    )
    with refused("adapt.no_texts"):
        collect_reading(config, DataCache())


def test_texts_are_written_as_they_are(asking: Asking, tmp_path: Path) -> None:
    reading = collect_reading(asking(adaptation={"training_texts": False}), DataCache())
    reading.write(tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == NEW
