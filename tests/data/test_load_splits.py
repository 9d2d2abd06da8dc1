"""From `data:` to three clean splits, with everything counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from faults import full
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect, collect_file
from welltuned.errors import Faults
from welltuned.tasks import Classification

ROLES = Classification.roles


def gather(train: str, **config: Any) -> tuple[DataSplits | None, list[str]]:
    faults = Faults()
    collected = collect(DataConfig(train=train, **config), ROLES, faults)
    return collected, full(faults)


def good(train: str, **config: Any) -> DataSplits:
    collected, faults = gather(train, **config)
    assert faults == []
    assert collected is not None
    return collected


def rows(*texts: str) -> list[dict[str, str]]:
    return [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]


@pytest.fixture
def three(tmp_path: Path) -> Any:
    """`three(train, validation, test)`: files of these texts, as keywords of `data:`."""

    def write(train: list[str], validation: list[str], test: list[str]) -> dict[str, str]:
        given = {"train": train, "validation": validation, "test": test}
        return {
            split: write_rows(tmp_path / f"{split}.jsonl", rows(*texts))
            for split, texts in given.items()
        }

    return write


# --- Splits -------------------------------------------------------------------


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
    assert any("had no file and were cut off" in note for note in collected.facts.notes)


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
    assert faults == ["a.jsonl data.too_few_to_split rows=3 rows empty=validation and test"]


def test_fewer_examples_can_be_asked_for_with_the_shares_kept(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(200))
    collected, whole = good(file, max_train_examples=40), good(file)
    assert Counter(collected.train["label"]) == {"negative": 20, "positive": 20}
    assert collected.test["text"] == whole.test["text"]
    assert set(collected.train["text"]) < set(whole.train["text"])
    assert any("40 of 160 training examples" in note for note in collected.facts.notes)


# --- Cleaning -----------------------------------------------------------------


def test_empty_texts_are_left_out_counted_and_located(three: Any) -> None:
    collected = good(**three(["a", " ", "c", "\t", "e"], ["f", "g"], ["h"]))
    assert collected.train["text"] == ["a", "c", "e"]
    assert collected.train.lines == [1, 3, 5]
    assert collected.facts.splits["train"].empty == 2
    assert any("2 rows with an empty text left out (line 2, 4)" in n for n in collected.facts.notes)


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
    (tmp_path / "b.csv").write_bytes(b"text,label\ncaf\xe9,a\n")
    test = str(tmp_path / "c.csv")
    _, faults = gather(str(tmp_path / "a.jsonl"), validation=str(tmp_path / "b.csv"), test=test)
    told = "\n".join(faults)
    for part in ("a.jsonl:2:2 data.bad_json", "b.csv:2:4 data.not_utf8", "c.csv data.file_missing"):
        assert part in told


# --- Duplicates ---------------------------------------------------------------

LEAK = (["a", "b", "Same text.", "d"], ["e", "same text"], ["f", "b"])


def test_a_text_in_two_splits_stops_the_run_with_both_places(three: Any) -> None:
    _, faults = gather(**three(*LEAK))
    assert len(faults) == 1
    assert faults[0].startswith("validation.jsonl:2 data.duplicates_across_splits")
    assert "train/validation 1, train/test 1; 1 exactly, 1 but for case" in faults[0]
    assert faults[0].endswith("train.jsonl:3")


def test_dropping_takes_texts_from_the_earlier_split(three: Any) -> None:
    collected = good(**three(*LEAK), duplicates="drop")
    assert collected.train["text"] == ["a", "d"]
    assert collected.validation["text"] == ["e", "same text"]
    assert collected.test["text"] == ["f", "b"]
    assert collected.facts.overlaps == {"train/validation": 1, "train/test": 1}


def test_dropping_keeps_the_test_split_clean_of_validation(three: Any) -> None:
    collected = good(**three(["a"], ["b", "c"], ["c", "d"]), duplicates="drop")
    assert collected.validation["text"] == ["b"]
    assert collected.test["text"] == ["c", "d"]


def test_keeping_is_said_to_make_scores_too_high(three: Any) -> None:
    collected = good(**three(*LEAK), duplicates="keep")
    assert len(collected.train) == 4
    assert any("kept as asked, so scores are too high" in note for note in collected.facts.notes)


def test_nothing_left_after_dropping_is_refused(three: Any) -> None:
    _, faults = gather(**three(["b"], ["a"], ["b"]), duplicates="drop")
    assert "data.split_all_duplicates split=train" in faults[0]


def test_code_that_differs_in_signs_is_no_duplicate(three: Any) -> None:
    files = three(["a + b"], ["a - b"], ["a * b"])
    assert len(gather(**files)[1]) == 1
    assert good(**files, compare_as="code").facts.overlaps == {}


def test_repeats_and_contradictions_within_a_split_are_counted(three: Any) -> None:
    facts = good(**three(["x", "z", "X!", "y", "q", "Y", "y"], ["v"], ["w"])).facts
    assert facts.splits["train"].repeats == 3
    assert facts.splits["train"].conflicts == 1
    assert any("1 text with contradicting labels" in note for note in facts.notes)


# --- Fingerprints -------------------------------------------------------------


def test_the_fingerprint_follows_content_and_split_alone(tmp_path: Path, three: Any) -> None:
    first = good(**three(["a", "b"], ["c"], ["d"])).facts.fingerprint
    again = good(**three(["a", "b"], ["c"], ["d"])).facts.fingerprint
    changed = good(**three(["a", "b"], ["c"], ["D"])).facts.fingerprint
    moved = good(**three(["a", "b"], ["d"], ["c"])).facts.fingerprint
    assert first == again
    assert len({first, changed, moved}) == 3


def test_the_facts_are_plain_values(three: Any) -> None:
    facts = good(**three(["a", "b"], ["c"], ["d"])).facts
    plain = json.loads(json.dumps(facts.as_dict()))
    assert plain["splits"]["train"]["rows"] == 2
    assert plain["fingerprint"] == facts.fingerprint


def test_one_file_can_be_read_by_itself(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", rows("a", " ", "c"))
    faults = Faults()
    records = collect_file(file, DataConfig(train=file), ROLES, faults)
    assert list(faults) == []
    assert records is not None and records["text"] == ["a", "c"]
