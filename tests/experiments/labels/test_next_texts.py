"""`welltuned data next`: texts to label, chosen for a finished run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from faults import noted, refused
from support import make_rows, write_rows
from welltuned.experiments.labels.config import NextSettings
from welltuned.experiments.labels.next_texts import choose_next, write_next_texts


@pytest.fixture
def unlabelled(tmp_path: Path) -> str:
    """60 texts that are new to the run, all that it has seen, one twice and an empty one."""
    fresh = [{"text": row["text"]} for row in make_rows(60, seed=7)]
    learned = [{"text": row["text"]} for row in make_rows(120)]
    rows = [*fresh, *learned, fresh[0], {"text": " "}]
    return write_rows(tmp_path / "more.jsonl", rows)


def settings(data: str, **more: Any) -> NextSettings:
    return NextSettings.model_validate({"data": {"train": data}, **more})


def learned_by(run: Any) -> set[str]:
    """The texts of the run's training split, which was cut off `make_rows(120)`."""
    cut = run.read("data.json")["cut"]
    held_out = {*cut["validation"], *cut["test"]}
    return {row["text"] for i, row in enumerate(make_rows(120), 1) if i not in held_out}


def mean_probability(rows: Any) -> float:
    return sum(row["probability"] for row in rows) / len(rows)


def test_new_texts_are_chosen_each_once(finished: Any, unlabelled: str) -> None:
    found = choose_next(finished.folder, settings(unlabelled, n=20))
    texts = {str(row["text"]) for row in found.rows}
    assert len(texts) == len(found.rows) == 20
    assert not texts & learned_by(finished)
    (note,) = found.notes
    counts = note["values"]
    assert counts["learned"] >= 96 and counts["repeated"] >= 1 and counts["empty"] == 1
    assert found.candidates == 182 - sum(counts[k] for k in ("learned", "repeated", "empty"))


def test_they_are_less_certain_than_usual(finished: Any, unlabelled: str) -> None:
    chosen = choose_next(finished.folder, settings(unlabelled, n=10)).rows
    every = choose_next(finished.folder, settings(unlabelled, n=1000)).rows
    assert mean_probability(chosen) < mean_probability(every)
    assert {row["label"] for row in chosen} == {""}
    assert {row["prediction"] for row in chosen} <= {"negative", "positive"}


def test_fewer_texts_than_asked_for_are_all_there(finished: Any, tmp_path: Path) -> None:
    few = [{"text": row["text"]} for row in make_rows(5, seed=11)]
    found = choose_next(finished.folder, settings(write_rows(tmp_path / "few.jsonl", few), n=9))
    assert len(found.rows) == 5
    assert noted(found.notes)[-1] == "next.fewer_texts number=5"


def test_a_table_is_written_to_be_filled_in_and_never_over_another(
    finished: Any, unlabelled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call("data", "next", finished.folder, unlabelled, "n=4")
    assert status == 0, err
    with (tmp_path / "to_label.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row)[:3] for row in rows] == [["id", "text", "label"]] * 4
    assert "to_label.csv" in out and len(err.splitlines()) == 1
    status, out, err = call("data", "next", finished.folder, unlabelled, "n=4")
    assert (status, out) == (2, "") and "[next.file_exists]" in err
    status, out, _ = call(
        "data", "next", finished.folder, unlabelled, "n=4", "file=b.csv", "--json"
    )
    assert [row["id"] for row in json.loads(out)["texts"]] == [row["id"] for row in rows]


def test_several_labels_have_texts_too(answering: Any, unlabelled: str) -> None:
    rows = choose_next(answering("multi").folder, settings(unlabelled, n=5)).rows
    assert len(rows) == 5 and 0 <= mean_probability(rows) <= 1


def test_a_model_without_labels_is_refused(rewarded: Any, unlabelled: str) -> None:
    with refused("next.task_unsupported"):
        choose_next(rewarded.folder, settings(unlabelled))


def test_texts_that_are_all_known_are_refused(finished: Any, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "empty.jsonl", [{"text": " "}, {"text": ""}])
    with refused("next.no_new_texts"):
        write_next_texts(finished.folder, settings(file, file=str(tmp_path / "t.csv")))
