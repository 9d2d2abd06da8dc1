"""Corrected labels in place of those in the data."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from faults import noted
from gathering import bound, gather, good
from support import make_rows, write_rows
from welltuned.data.config import DataConfig
from welltuned.errors import Faults
from welltuned.tasks import Classification
from welltuned.training.preparation.data_cache import DataCache


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A file of 40 labelled texts with ids of their own."""
    return write_rows(tmp_path / "d.jsonl", [{**row, "id": f"r{i}"} for i, row in _numbered()])


def _numbered() -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(make_rows(40)))


def table(folder: Path, *rows: dict[str, object], name: str = "checked.csv") -> str:
    with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(folder / name)


def labels(splits: Any) -> dict[str, str]:
    return {
        records.id(i): records["label"][i]
        for records in (splits.train, splits.validation, splits.test)
        for i in range(len(records))
    }


def members(splits: Any, left_out: tuple[str, ...] = ()) -> list[list[str]]:
    parts = (splits.train, splits.validation, splits.test)
    return [[p.id(i) for i in range(len(p)) if p.id(i) not in left_out] for p in parts]


def test_labels_change_and_splits_stay(data: str, tmp_path: Path) -> None:
    rows = make_rows(40)
    corrections = table(
        tmp_path,
        {"id": "r0", "label": "positive", "text": rows[0]["text"], "suggested": "positive"},
        {"id": "r1", "label": "positive", "text": rows[1]["text"], "suggested": "negative"},
        {"id": "r7", "label": "", "text": rows[7]["text"], "suggested": "negative"},
    )
    before, after = good(data), good(data, corrections=corrections)
    assert labels(before)["r0"] == "negative" and labels(after)["r0"] == "positive"
    changed = {id for id, label in labels(after).items() if labels(before)[id] != label}
    assert changed == {"r0"} and "r7" not in labels(after)
    assert members(after) == members(before, left_out=("r7",))
    assert noted(after.facts.notes)[-1].endswith("number=1 left_out=1")
    assert after.facts.fingerprint != before.facts.fingerprint


def test_records_without_ids_are_known_by_their_lines(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", make_rows(40))
    corrections = table(tmp_path, {"id": f"{file}:3", "label": "positive"})
    assert labels(good(file, corrections=[corrections]))[f"{file}:3"] == "positive"


def test_several_tables_are_taken_one_after_the_other(data: str, tmp_path: Path) -> None:
    first = table(tmp_path, {"id": "r0", "label": "positive"}, {"id": "r2", "label": "positive"})
    second = table(tmp_path, {"id": "r0", "label": "negative"}, name="second.csv")
    found = labels(good(data, corrections=[first, second]))
    assert (found["r0"], found["r2"]) == ("negative", "positive")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"id": "r99", "label": "positive"}, "correction_without_record id=r99"),
        (
            {"id": "r0", "label": "positive", "text": "quite another text"},
            "correction_of_another_text id=r0",
        ),
        ({"id": "r0", "label": "postive"}, "correction_of_unknown_label label=postive"),
        ({"id": "r0", "tag": "positive"}, "corrections_without_columns missing=label"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(
    row: dict[str, object], code: str, data: str, tmp_path: Path
) -> None:
    splits, faults = gather(data, corrections=table(tmp_path, row))
    assert splits is None and len(faults) == 1
    assert faults[0].startswith("checked.csv:") and f"data.{code}" in faults[0]


def test_a_file_that_is_not_there_is_one_fault(data: str, tmp_path: Path) -> None:
    _, faults = gather(data, corrections=str(tmp_path / "nothing.csv"))
    assert len(faults) == 1 and "data.file_missing" in faults[0]


def test_text_that_a_spreadsheet_has_respaced_is_the_same_text(data: str, tmp_path: Path) -> None:
    text = make_rows(1)[0]["text"].replace(" ", "  ") + "."
    corrections = table(tmp_path, {"id": "r0", "label": "positive", "text": text})
    assert labels(good(data, corrections=corrections))["r0"] == "positive"


def test_numbers_as_classes_stay_the_classes_they_are(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "n.jsonl", [{**r, "label": i % 2} for i, r in _numbered()])
    corrections = table(tmp_path, {"id": f"{file}:1", "label": "1"})
    splits, problem = bound(file, corrections=corrections)
    assert problem.labels == ("0", "1") and problem.label_keys == ("0", "1")
    assert str(labels(splits)[f"{file}:1"]) == "1"


def test_targets_that_are_numbers_may_become_any_number(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "n.jsonl", [{**r, "label": i / 8} for i, r in _numbered()])
    splits, _ = bound(file, corrections=table(tmp_path, {"id": f"{file}:1", "label": "77.5"}))
    assert labels(splits)[f"{file}:1"] == "77.5"


def test_of_several_labels_the_table_has_a_list(tmp_path: Path) -> None:
    rows = [{**row, "label": [row["label"], "long"]} for _, row in _numbered()]
    file = write_rows(tmp_path / "m.jsonl", rows)
    corrections = table(
        tmp_path,
        {"id": f"{file}:1", "label": '["positive"]'},
        {"id": f"{file}:2", "label": '["long", "positive"]'},
    )
    splits, problem = bound(file, corrections=corrections)
    found: dict[str, Any] = {**labels(splits)}
    assert found[f"{file}:1"] == ["positive"]
    assert found[f"{file}:2"] == ["positive", "long"], "the same set stays as it is"
    assert problem.labelling.problem == "multi_label"


def test_of_columns_that_are_labels_each_flag_is_set(tmp_path: Path) -> None:
    rows = [{"text": r["text"], "toxic": i % 2, "rude": i % 3 == 0} for i, r in _numbered()]
    file = write_rows(tmp_path / "f.jsonl", [{**r, "rude": int(r["rude"])} for r in rows])
    columns = {"labels": "toxic,rude"}
    corrections = table(tmp_path, {"id": f"{file}:1", "label": '["toxic"]'})
    splits, _ = bound(file, columns=columns, corrections=corrections)
    found: dict[str, Any] = {**labels(splits)}
    assert found[f"{file}:1"] == {"toxic": 1, "rude": 0}


def test_a_cache_knows_data_by_their_corrections(data: str, tmp_path: Path) -> None:
    """A table that has changed at the same place is read again."""
    cache, task = DataCache(), Classification()
    corrections = table(tmp_path, {"id": "r0", "label": "positive"})
    config = DataConfig(train=data, corrections=[corrections])
    first = cache.splits(config, task, Faults())
    table(tmp_path, {"id": "r0", "label": "negative"})
    second = cache.splits(config, task, Faults())
    assert labels(first)["r0"] == "positive" and labels(second)["r0"] == "negative"
