"""From `data:` to three clean splits, with everything counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from faults import noted
from gathering import ROLES, gather, good, rows
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect_file
from welltuned.errors import Faults


def test_files_given_for_all_splits_are_taken_as_they_are(three: Any) -> None:
    collected = good(**three(["a", "b", "c"], ["d", "e"], ["f"]))
    assert collected.train["text"] == ["a", "b", "c"]
    assert collected.validation["text"] == ["d", "e"]
    assert collected["test"]["text"] == ["f"]
    assert collected.facts.cut == {}


def test_missing_splits_are_cut_off_and_said(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(200))
    collected = good(file)
    sizes = {split: len(collected[split]) for split in ("train", "validation", "test")}
    assert sizes == {"train": 160, "validation": 20, "test": 20}
    assert Counter(collected.test["label"]) == {"negative": 10, "positive": 10}
    (note,) = noted(collected.facts.notes)
    told = "splits=validation and test source=a.jsonl seed=0 sizes=validation 20, test 20"
    assert note == f"data.cut_off {told}"


def test_where_the_cut_fell_is_kept_as_line_numbers(tmp_path: Path) -> None:
    given = make_rows(100)
    collected = good(write_rows(tmp_path / "a.jsonl", given))
    lines = collected.facts.cut["test"]
    assert [given[line - 1]["text"] for line in lines] == collected.test["text"]


def test_only_what_is_missing_is_cut_off(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "a.jsonl", make_rows(100))
    test = write_rows(tmp_path / "b.jsonl", rows("one zzz", "two zzz"))
    collected = good(train, test=test)
    assert collected.test["text"] == ["one zzz", "two zzz"]
    assert (len(collected.train), len(collected.validation)) == (90, 10)


def test_the_cut_follows_its_own_seed(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(100))
    zero, again, other = (good(file, split={"seed": seed}) for seed in (0, 0, 1))
    assert zero.test["text"] == again.test["text"] != other.test["text"]


def test_a_group_is_never_parted(tmp_path: Path) -> None:
    given = [{**row, "author": i // 5} for i, row in enumerate(make_rows(200))]
    collected = good(write_rows(tmp_path / "a.jsonl", given), columns={"group": "author"})
    train, test = (set(collected[split]["group"]) for split in ("train", "test"))
    assert train and test and not train & test


def test_equal_texts_are_never_parted(tmp_path: Path) -> None:
    given = make_rows(50)
    twice = given + [{**row, "text": row["text"].upper() + "!"} for row in given]
    collected = good(write_rows(tmp_path / "a.jsonl", twice))
    texts = [{text.lower().strip("!") for text in collected[s]["text"]} for s in ("train", "test")]
    assert not texts[0] & texts[1]


def test_too_few_rows_to_cut_are_refused(tmp_path: Path) -> None:
    _, faults = gather(write_rows(tmp_path / "a.jsonl", rows("x", "y", "z")))
    assert faults == ["a.jsonl data.too_few_to_split rows=3 empty=validation and test"]


def test_fewer_examples_can_be_asked_for_with_the_shares_kept(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(200))
    collected, whole = good(file, max_train_examples=40), good(file)
    assert Counter(collected.train["label"]) == {"negative": 20, "positive": 20}
    assert collected.test["text"] == whole.test["text"]
    assert set(collected.train["text"]) < set(whole.train["text"])
    assert "data.limited number=40 total=160" in noted(collected.facts.notes)


def test_one_file_can_be_read_by_itself(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", rows("a", " ", "c"))
    faults = Faults()
    records = collect_file(file, DataConfig(train=file), ROLES, faults)
    assert list(faults) == []
    assert records is not None and records["text"] == ["a", "c"]
