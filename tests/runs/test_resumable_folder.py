"""A folder that belongs to one question, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.runs.resumable_folder import enter

ASKED = {"strategy": {"type": "lora", "r": 4}, "training": {"rate": 1e-5}, "data_fingerprint": "a"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_same_question_may_come_again(tmp_path: Path) -> None:
    enter(tmp_path / "new" / "folder", ASKED)
    before = contents(tmp_path / "new" / "folder")
    enter(tmp_path / "new" / "folder", ASKED)
    assert contents(tmp_path / "new" / "folder") == before
    assert set(before) == {"config.yaml"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"strategy": {"type": "lora", "r": 8}}, "strategy.r was 4 and is 8"),
        ({"strategy": {"type": "lora"}}, "strategy.r was 4 and is not there"),
        ({"strategy": {"type": "lora", "r": 4, "x": None}}, "strategy.x was not there and is null"),
        ({"data_fingerprint": "b"}, "the data differ"),
    ],
)
def test_another_question_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    enter(tmp_path, ASKED)
    before = contents(tmp_path)
    with refused("run.folder_of_another_config", changes=told):
        enter(tmp_path, {**ASKED, **change})
    assert contents(tmp_path) == before


def test_many_differences_are_counted(tmp_path: Path) -> None:
    enter(tmp_path, {str(i): 0 for i in range(5)})
    with refused(
        "run.folder_of_another_config",
        changes="0 was 0 and is 1; 1 was 0 and is 1; 2 was 0 and is 1, and 2 more",
    ):
        enter(tmp_path, {str(i): 1 for i in range(5)})


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with refused("run.folder_in_use"):
        enter(tmp_path, ASKED)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}
