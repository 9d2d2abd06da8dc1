"""Folds of the training data: every example is once in a test split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from faults import noted
from gathering import gather, good, rows
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Fifty texts, twenty-five of each label."""
    return write_rows(tmp_path / "a.jsonl", make_rows(50))


def of_all_folds(file: str, number: int, **config: Any) -> list[DataSplits]:
    return [good(file, folds=number, fold=fold, **config) for fold in range(number)]


def test_every_example_is_tested_once_and_never_learned_from_there(file: str) -> None:
    folds = of_all_folds(file, 5)
    tested = [text for fold in folds for text in fold.test["text"]]
    assert len(tested) == len(set(tested)) == 50
    for fold in folds:
        parts = [set(fold[split]["text"]) for split in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 50
        assert Counter(fold.test["label"]) == {"negative": 5, "positive": 5}
        assert len(fold.validation) == 4, "a tenth of each label's twenty that are left"


def test_what_was_held_out_is_told(file: str) -> None:
    fold = good(file, folds=5, fold=2)
    told = noted(fold.facts.notes)
    assert told[0] == "data.fold_held_out fold=2 folds=5 number=10 total=50 seed=0"
    assert told[1].startswith("data.cut_off splits=validation ")
    assert fold.facts.cut["test"] == fold.test.lines
    assert fold.facts.cut["validation"] == fold.validation.lines


def test_all_folds_are_learned_from_by_the_final_model(file: str) -> None:
    final = good(file, folds=5, fold="all")
    assert len(final.train) + len(final.validation) == 50
    assert final.facts.splits["test"].rows == 0
    assert noted(final.facts.notes)[0] == "data.nothing_held_out folds=5 number=50"
    assert final.facts.fingerprint != good(file, folds=5, fold=0).facts.fingerprint


def test_a_validation_file_serves_every_fold(file: str, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "b.jsonl", rows("one zzz", "two zzz"))
    for fold in of_all_folds(file, 2, validation=other):
        assert fold.validation["text"] == ["one zzz", "two zzz"]
        assert (len(fold.train), len(fold.test)) == (25, 25)


def test_equal_texts_and_groups_stay_in_one_fold(tmp_path: Path) -> None:
    given = make_rows(40)
    twice = write_rows(tmp_path / "twice.jsonl", given + given[:10])
    for fold in of_all_folds(twice, 4):
        assert not set(fold.test["text"]) & set(fold.train["text"])
    grouped = [{**row, "author": i // 2} for i, row in enumerate(given)]
    authors = write_rows(tmp_path / "authors.jsonl", grouped)
    for fold in of_all_folds(authors, 5, columns={"group": "author"}):
        assert not set(fold.test["group"]) & set(fold.train["group"])


def test_the_folds_follow_from_the_seed_of_the_split(file: str) -> None:
    zero, again, other = (
        good(file, folds=5, fold=0, split={"seed": seed}).test["text"] for seed in (0, 0, 1)
    )
    assert zero == again != other


# --- What is refused ----------------------------------------------------------------


def test_more_folds_than_the_rarest_class_has_examples(tmp_path: Path) -> None:
    given = make_rows(40) + [{"text": f"odd {i}", "label": "odd"} for i in range(3)]
    file = write_rows(tmp_path / "a.jsonl", given)
    collected, told = gather(file, folds=5, fold=0)
    assert collected is None
    assert told == ["a.jsonl data.folds_above_rarest folds=5 label=odd number=3"]
    assert len(of_all_folds(file, 3)) == 3
    assert len(good(file, folds=5, fold=0, split={"stratify": False}).test) == 9


def test_equal_texts_count_once_for_that(tmp_path: Path) -> None:
    given = make_rows(40) + [{"text": "odd", "label": "odd"}] * 6
    _, told = gather(write_rows(tmp_path / "a.jsonl", given), folds=5, fold=0)
    assert told == ["a.jsonl data.folds_above_rarest folds=5 label=odd number=1"]


def test_more_folds_than_examples(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(4))
    _, told = gather(file, folds=5, fold=0, split={"stratify": False})
    assert told == ["a.jsonl data.folds_above_examples folds=5 number=4"]


def test_a_folder_with_a_test_split_of_its_own(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", make_rows(40))
    write_rows(tmp_path / "test.jsonl", make_rows(10, seed=9))
    _, told = gather(str(tmp_path), folds=4, fold=0)
    assert len(told) == 1 and "data.folds_beside_test" in told[0]
    assert len(good(str(tmp_path), folds=4, fold=0, leave_out=["test"]).test) == 10


def test_several_runs_where_one_is_asked_about(file: str) -> None:
    assert gather(file, folds=5) == (None, ["data.folds_of_several_runs folds=5"])
    assert DataConfig(train=file, folds=5).of_one_run.fold == 0
    assert DataConfig(train=file).of_one_run == DataConfig(train=file)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fold": 0}, "data.fold_without_folds"),
        ({"folds": 3, "fold": 3}, "data.fold_unknown"),
        ({"folds": 3, "test": "b.jsonl"}, "data.folds_and_test"),
        ({"folds": 3, "split": {"test": 0.2}}, "data.folds_and_share"),
    ],
)
def test_keys_that_contradict_each_other(given: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DataConfig(train="a.jsonl", **given)
    assert [error["ctx"]["fault"].code for error in caught.value.errors()] == [code]
