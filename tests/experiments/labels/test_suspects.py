"""`welltuned data suspects`: planted errors are found, and the table corrects the data."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from support import config_values, make_rows, write_rows
from welltuned.config import run_config_from
from welltuned.experiments.labels.config import SuspectsSettings
from welltuned.experiments.labels.suspects import check_labels_by_folds
from welltuned.runs.suspects_schema import SuspectsFile, read_suspects
from welltuned.training.observer import Observer

WRONG = (3, 20, 41, 66, 87, 100, 117, 140)
"""The rows whose labels are turned round."""
OTHER = {"negative": "positive", "positive": "negative"}


def turned(number: int = 160) -> list[dict[str, Any]]:
    rows = make_rows(number)
    return [{**r, "label": OTHER[r["label"]]} if i in WRONG else r for i, r in enumerate(rows)]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A file of 160 labelled texts, eight of them wrongly, and of one more in three spellings."""
    rows = turned()
    twin = {"text": f"{rows[5]['text']} {rows[7]['text']} so", "label": "positive"}
    return write_rows(
        tmp_path / "reviews.jsonl",
        [*rows, twin, {"text": twin["text"] + " !", "label": "negative"},
         {"text": twin["text"].replace(" so", " too"), "label": "negative"}],
    )  # fmt: skip


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(model: str, data: Any, folds: int = 3, **parts: Any) -> tuple[Path, SuspectsFile]:
    task = parts.pop("task", {"pooling": "mean"})
    values = config_values(model, data, "full", Path("run"), task=task, **parts)
    config, settings = run_config_from(values), SuspectsSettings(folds=folds, test=True)
    folder = check_labels_by_folds(config, settings, ["reviews.yaml"], Observer())
    return folder, read_suspects(folder)


def test_planted_errors_are_the_most_doubtful(tiny: Any, data: str) -> None:
    folder, found = check(tiny("bert"), data)
    assert str(folder) == "suspects/reviews" and found["examples"] == 163
    wrong = {f"{data}:{i + 1}" for i in WRONG}
    first = [one["id"] for one in found["suspects"][:10]]
    assert len((wrong | {f"{data}:162", f"{data}:163"}) & set(first)) >= 7
    by_id = {one["id"]: one for one in found["suspects"]}
    one = by_id[next(iter(wrong & set(first)))]
    assert one["suggested"] == OTHER[str(one["label"])]
    assert one["probability"] < 0.5 < one["suggested_probability"]
    assert found["score"] > 0.75 and found["expected"] > 4
    pair = found["near_duplicates"][0]
    assert {pair["one"]["id"], pair["other"]["id"]} == {f"{data}:161", f"{data}:162"}
    assert pair["similarity"] == 1.0


def test_the_table_corrects_the_data_by_the_command_that_is_told(
    tiny: Any, data: str, call: Any
) -> None:
    folder, found = check(tiny("bert"), data)
    with (folder / "suspects.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows[: len(found["suspects"])]] == [
        one["id"] for one in found["suspects"]
    ]
    twins = {row["id"]: row["near_duplicate"] for row in rows}
    assert twins[f"{data}:162"] == f"{data}:161"
    for row in rows:
        row["label"] = row["suggested"] or row["label"]
    with (folder / "suspects.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    words = shlex.split(found["command"] or "")
    assert words[:3] == ["welltuned", "train", "reviews.yaml"]
    assert words[4] == "output_dir=runs/reviews-corrected"
    keys = ["data.duplicates=keep", words[3], "--json"]
    status, out, _ = call("data", f"data={data}", *keys)
    assert status == 0
    notes = {note["code"]: note["values"] for note in json.loads(out)["notes"]}
    assert notes["data.corrected"]["number"] == len(found["suspects"])


def test_labels_are_written_as_the_data_have_them(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "label": int(row["label"] == "positive")} for row in turned()]
    file = write_rows(tmp_path / "numbers.jsonl", rows)
    names = {"0": "negative", "1": "positive"}
    folder, found = check(tiny("bert"), file, task={"pooling": "mean", "label_names": names})
    assert {one["label"] for one in found["suspects"]} <= {"negative", "positive"}
    with (folder / "suspects.csv").open(encoding="utf-8-sig", newline="") as table:
        assert {row["label"] for row in csv.DictReader(table)} <= {"0", "1"}


def test_what_was_corrected_before_stays_so(tiny: Any, data: str, tmp_path: Path) -> None:
    before = tmp_path / "before.csv"
    before.write_text(f"id,label\n{data}:4,positive\n", encoding="utf-8")
    values = {"train": data, "corrections": str(before), "duplicates": "keep"}
    _, found = check(tiny("bert"), values)
    assert f"data.corrections=[{before}, suspects/reviews/suspects.csv]" in shlex.split(
        found["command"] or ""
    )


def test_every_split_but_test_is_checked_unless_it_is_asked_for(
    tiny: Any, sentiment: str, call: Any
) -> None:
    model = tiny("bert")
    keys = [f"model={model}", "task.pooling=mean", "folds=2", "folder=mine"]
    status, out, err = call("data", "suspects", sentiment, *keys, "--json")
    found = json.loads(out)
    assert status == 0, err
    assert (found["folder"], found["splits"], found["examples"]) == (
        "mine", ["train", "validation"], 108,
    )  # fmt: skip
    assert found["folds"] == 2 and Path("mine/report.html").exists()
    status, out, err = call("data", "suspects", sentiment, *keys)
    assert (status, out) == (2, "") and "[suspects.folder_in_use]" in err


def test_several_labels_are_checked_too(tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "label": [row["label"], *(["long"] if len(row["text"]) > 40 else [])]}
            for row in turned()]  # fmt: skip
    folder, found = check(tiny("bert"), write_rows(tmp_path / "several.jsonl", rows))
    assert found["suspects"]
    assert all(isinstance(one["suggested"], list) for one in found["suspects"])
    with (folder / "suspects.csv").open(encoding="utf-8-sig", newline="") as table:
        assert all(isinstance(json.loads(row["label"]), list) for row in csv.DictReader(table))


def test_labels_that_cannot_be_judged_are_refused_before_any_weight(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from welltuned.models import loading

    monkeypatch.setattr(loading, "load_model", lambda *args: pytest.fail("a model was loaded"))
    numbers = [{**row, "label": i / 8} for i, row in enumerate(make_rows(40))]
    with refused("suspects.task_unsupported"):
        check(tiny("bert"), write_rows(tmp_path / "numbers.jsonl", numbers))
    rare = [{**row, "label": "rare"} if i < 3 else row for i, row in enumerate(make_rows(60))]
    with refused("suspects.label_too_rare", label="rare", number=3, folds=5):
        check(tiny("bert"), write_rows(tmp_path / "rare.jsonl", rare), folds=5)
