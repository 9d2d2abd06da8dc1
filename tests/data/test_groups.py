"""Groups: rows that belong together are in one split, or it is told."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from faults import noted
from gathering import gather, good
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits

SPLITS = ("train", "validation", "test")
WORDS = [f"{number:x}word" for number in range(3000)]


def by_authors(sizes: list[int], shares: list[float]) -> list[dict[str, Any]]:
    """So many different texts of each author, of which a share is good."""
    rng = random.Random(0)
    return [
        {"text": " ".join(rng.sample(WORDS, 12)), "label": label, "author": f"a{author}"}
        for author, (size, share) in enumerate(zip(sizes, shares, strict=True))
        for label in (["good" if i < share * size else "bad" for i in range(size)])
    ]


@pytest.fixture
def authors(tmp_path: Path) -> str:
    """400 texts of 80 authors, most of whom write what is good or what is bad."""
    rng = random.Random(1)
    sizes = [rng.choice([1, 2, 5, 12]) for _ in range(80)]
    return write_rows(tmp_path / "a.jsonl", by_authors(sizes, [rng.random() for _ in sizes]))


def of(data: DataSplits, split: str) -> set[Any]:
    return set(data[split]["group"])


def test_no_author_is_on_two_sides_and_classes_keep_their_shares(authors: str) -> None:
    data = good(authors, groups="author")
    assert sum(len(of(data, split)) for split in SPLITS) == 80
    assert not of(data, "train") & of(data, "test") and not of(data, "validation") & of(
        data, "test"
    )
    total = sum(len(data[split]) for split in SPLITS)
    counts = {split: Counter(data[split]["label"]) for split in SPLITS}
    for split, share in (("validation", 0.1), ("test", 0.1)):
        for label in ("good", "bad"):
            wanted = share * sum(count[label] for count in counts.values())
            assert abs(counts[split][label] - wanted) <= 3, (split, label, total)


def test_groups_are_counted_and_told(authors: str) -> None:
    data = good(authors, groups=["author"])
    groups = data.facts.groups
    assert groups["by"] == ["author"] and groups["number"] == 80 and groups["largest"] == 12
    assert groups["shared"] == {} and sum(groups["in_splits"].values()) == 80
    assert any(note.startswith("data.groups_counted by=author") for note in noted(data.facts.notes))
    assert good(authors).facts.groups == {}


def test_the_split_follows_from_its_seed(authors: str) -> None:
    splits = [good(authors, groups="author", split={"seed": seed}) for seed in (0, 0, 1)]
    texts = [one.test["text"] for one in splits]
    assert texts[0] == texts[1] != texts[2]


def test_folds_keep_authors_together_and_classes_in_their_shares(authors: str) -> None:
    folds = [good(authors, groups="author", folds=4, fold=fold) for fold in range(4)]
    tested = [author for fold in folds for author in of(fold, "test")]
    assert len(tested) == len(set(tested)) == 80
    sizes = [Counter(fold.test["label"]) for fold in folds]
    for label in ("good", "bad"):
        numbers = [size[label] for size in sizes]
        assert max(numbers) - min(numbers) <= 2
    for fold in folds:
        assert not of(fold, "test") & of(fold, "train") | of(fold, "test") & of(fold, "validation")


def test_near_duplicates_stay_together(tmp_path: Path) -> None:
    rows = by_authors([1] * 60, [i % 2 for i in range(60)])
    near = [{**row, "text": f"{row['text']} again"} for row in rows]
    file = write_rows(tmp_path / "a.jsonl", [*rows, *near])
    data = good(file, groups="near_duplicates")
    firsts = {
        split: {text.removesuffix(" again") for text in data[split]["text"]} for split in SPLITS
    }
    assert sum(map(len, firsts.values())) == 60 and len(data.test) == 12
    assert data.facts.groups["number"] == data.facts.groups["of_several_rows"] == 60
    assert {len(firsts[split]) for split in ("validation", "test")} == {6}


def test_a_column_and_near_duplicates_keep_what_has_either_in_common(tmp_path: Path) -> None:
    rows = by_authors([2] * 30, [0.5] * 30)
    rows += [
        {**rows[2 * i], "text": f"{rows[2 * i]['text']} again", "author": f"b{i}"}
        for i in range(10)
    ]
    data = good(write_rows(tmp_path / "a.jsonl", rows), groups=["author", "near_duplicates"])
    assert data.facts.groups["by"] == ["author", "near-duplicates"]
    assert data.facts.groups["number"] == 30 and data.facts.groups["largest"] == 3


def test_rows_without_a_group_are_groups_of_their_own(tmp_path: Path) -> None:
    rows = [{**row, "author": None} for row in by_authors([40], [0.5])]
    data = good(write_rows(tmp_path / "a.jsonl", rows), groups="author")
    assert "data.rows_without_group column=author number=40" in noted(data.facts.notes)
    assert (len(data.test), data.facts.groups["without"]) == (4, 40)


def test_groups_that_leave_a_split_empty_are_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", by_authors([50, 50], [0.5, 0.5]))
    _, faults = gather(file, groups="author")
    assert len(faults) == 1 and "data.groups_too_large" in faults[0]
    assert "empty=validation and test number=2 by=author group=a0 rows=50 total=100" in faults[0]
    three = write_rows(tmp_path / "b.jsonl", by_authors([20, 20, 20], [0.5] * 3))
    split = {"validation": 0.33, "test": 0.33}
    assert [len(good(three, groups="author", split=split)[one]) for one in SPLITS] == [20, 20, 20]


def test_a_fold_of_one_large_group_is_refused(tmp_path: Path) -> None:
    rows = by_authors([60, *[2] * 20], [0.5] * 21)
    _, faults = gather(write_rows(tmp_path / "a.jsonl", rows), groups="author", folds=5, fold=0)
    assert len(faults) == 1 and "data.folds_of_one_group" in faults[0] and "group=a0" in faults[0]


def test_folds_need_as_many_groups_with_each_class(tmp_path: Path) -> None:
    rows = by_authors([2] * 20 + [9, 9, 9], [0] * 20 + [0.5] * 3)
    file = write_rows(tmp_path / "a.jsonl", rows)
    tests = [good(file, groups="author", folds=3, fold=fold).test for fold in range(3)]
    assert [len({"a20", "a21", "a22"} & set(test["group"])) for test in tests] == [1, 1, 1]
    _, faults = gather(file, groups="author", folds=4, fold=0)
    assert "data.folds_above_rarest" in faults[0]


def test_a_column_that_is_absent_is_refused(authors: str) -> None:
    _, faults = gather(authors, groups="autor")
    assert len(faults) == 1 and "data.column_unknown" in faults[0] and "author" in faults[0]


def test_names_are_read_as_a_command_line_gives_them() -> None:
    for given, named in (
        ("a,near_duplicates", ["a", "near_duplicates"]),
        (0, ["0"]),
        (["a"], ["a"]),
    ):
        assert DataConfig.model_validate({"train": "x", "groups": given}).groups == named


def test_two_columns_are_refused() -> None:
    with pytest.raises(ValidationError, match="a and b"):
        DataConfig(train="x", groups=["a", "b"])
    with pytest.raises(ValidationError, match="a and b"):
        DataConfig(train="x", groups=["a", "near_duplicates"], columns={"group": "b"})


# --- Given splits --------------------------------------------------------------------


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    """Three files: two authors of train are in test, one in validation."""
    rows = by_authors([3] * 8, [0.5] * 8)
    parts = {"train": rows[:15], "validation": rows[12:18], "test": [rows[6], *rows[18:]]}
    for number, row in enumerate(rows[12:15]):
        parts["validation"][number] = {**row, "text": f"{number} other"}
    parts["test"][0] = {**rows[6], "text": "one more"}
    return {name: write_rows(tmp_path / f"{name}.jsonl", part) for name, part in parts.items()}


def test_groups_in_two_given_splits_stop_the_run_with_both_places(given: dict[str, str]) -> None:
    good(**given)
    _, faults = gather(**given, groups="author")
    assert len(faults) == 1 and faults[0].startswith("validation.jsonl:1 data.groups_across_splits")
    assert "2 (train/validation 1, train/test 1)" in faults[0]
    assert faults[0].endswith("train.jsonl:13")


def test_dropping_takes_groups_from_the_earlier_split(given: dict[str, str]) -> None:
    data = good(**given, groups="author", duplicates="drop")
    assert of(data, "train") == {"a0", "a1", "a3"} and len(data.train) == 9
    assert (len(data.validation), len(data.test)) == (6, 7)
    assert data.facts.groups["shared"] == {"train/validation": 1, "train/test": 1}
    assert "data.groups_dropped split=train number=6" in noted(data.facts.notes)


def test_keeping_is_said_to_make_scores_too_high(given: dict[str, str]) -> None:
    data = good(**given, groups="author", duplicates="keep")
    assert len(data.train) == 15
    assert [note["code"] for note in data.facts.notes][-1] == "data.groups_kept"


def test_near_duplicates_of_given_splits_are_removed_from_train(tmp_path: Path) -> None:
    rows = by_authors([1] * 30, [i % 2 for i in range(30)])
    near = {**rows[3], "text": f"{rows[3]['text']} indeed"}
    parts = {"train": rows[:20], "validation": rows[20:], "test": [near, rows[3] | {"text": "x y"}]}
    files = {name: write_rows(tmp_path / f"{name}.jsonl", part) for name, part in parts.items()}
    assert gather(**files)[1] == []
    assert "data.groups_across_splits" in gather(**files, groups="near_duplicates")[1][0]
    data = good(**files, groups="near_duplicates", duplicates="drop")
    assert len(data.train) == 19 and rows[3]["text"] not in data.train["text"]


def test_nothing_left_after_dropping_is_refused(tmp_path: Path) -> None:
    rows = by_authors([9], [0.5])
    parts = {"train": rows[:3], "validation": rows[3:6], "test": rows[6:]}
    files = {name: write_rows(tmp_path / f"{name}.jsonl", part) for name, part in parts.items()}
    _, faults = gather(**files, groups="author", duplicates="drop")
    assert "data.split_all_in_shared_groups" in faults[0]
