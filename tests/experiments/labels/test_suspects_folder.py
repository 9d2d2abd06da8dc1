"""What is written of labels to check."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from welltuned.experiments.labels.suspects_folder import (
    as_cell,
    command_to_correct,
    table_rows,
    twins_among,
)
from welltuned.runs.suspects_schema import SuspectsFile


def row(id: str, label: str, text: str) -> dict[str, Any]:
    return {"id": id, "label": label, "text": text, "prediction": label, "probabilities": {}}


def found(rows: list[dict[str, Any]], *suspects: str) -> SuspectsFile:
    named = {one["id"]: one for one in rows}
    return {
        "data": "d.csv",
        "model": "m",
        "language": "en",
        "judged_by": ["linear head"],
        "folds": 5,
        "splits": ["train"],
        "examples": len(rows),
        "metric": "macro_f1",
        "score": 0.8,
        "expected": 1.0,
        "suspects": [
            {
                "id": id,
                "label": named[id]["label"],
                "suggested": "good",
                "probability": 0.1,
                "suggested_probability": 0.9,
                "inputs": {"text": named[id]["text"]},
            }
            for id in suspects
        ],
        "near_duplicates": twins_among(rows, "text"),
        "command": None,
    }


def test_suspects_come_first_and_near_duplicates_once() -> None:
    rows = [row("a", "bad", "The same."), row("b", "good", "the same"), row("c", "bad", "else")]
    written = list(table_rows(found(rows, "c", "b"), {"good": "1", "bad": "0"}))
    assert [(one["id"], one["label"], one.get("suggested", "")) for one in written] == [
        ("c", "0", "1"),
        ("b", "1", "1"),
        ("a", "0", ""),
    ]
    assert [one["near_duplicate"] for one in written] == ["", "a", "b"]
    assert written[2]["text"] == "The same."


def test_twins_are_compared_as_duplicates_are() -> None:
    rows = [row("a", "bad", "X = Y"), row("b", "good", "x = y")]
    assert [(pair["one"]["id"], pair["similarity"]) for pair in twins_among(rows, "text")] == [
        ("a", 1.0)
    ]
    assert twins_among(rows, "code") == []


def test_several_labels_are_a_list_in_one_cell() -> None:
    assert as_cell(["good", "long"], {"good": "1"}) == '["1", "long"]'
    assert as_cell([], {}) == "[]" and as_cell("good", {}) == "good"


def test_the_command_has_all_tables_that_correct() -> None:
    words, folder = ["welltuned", "train", "my reviews.yaml"], Path("suspects/r")
    one = shlex.split(command_to_correct(words, [], folder, "r"))
    assert one == [
        *words,
        "data.corrections=suspects/r/suspects.csv",
        "output_dir=runs/r-corrected",
    ]
    two = shlex.split(command_to_correct(words, ["old.csv"], folder, "r"))
    assert two[3] == "data.corrections=[old.csv, suspects/r/suspects.csv]"
