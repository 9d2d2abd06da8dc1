"""Which folders hold a run of each fold, and how far they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from welltuned.runs import Run
from welltuned.runs.cross_validated import finished_runs, is_cross_validated
from welltuned.runs.status import resume_line


def begun_in(folder: Path, data: Any) -> Run:
    run = Run.create(folder)
    run.write("config.yaml", {"data": data})
    run.write("start.json", {})
    return run


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"train": "a.csv", "folds": 5, "fold": None}, True),
        ({"train": "a.csv", "folds": 5, "fold": 0}, False),
        ({"train": "a.csv", "folds": 5, "fold": "all"}, False),
        ({"train": "a.csv", "folds": None, "fold": None}, False),
        ({"train": "a.csv"}, False),
    ],
)
def test_its_config_says_so(tmp_path: Path, data: Any, expected: bool) -> None:
    assert is_cross_validated(begun_in(tmp_path / "run", data)) is expected


def test_a_run_without_a_config_is_none(tmp_path: Path) -> None:
    assert not is_cross_validated(Run(tmp_path))


def test_how_to_go_on_says_how_many_runs_have_finished(tmp_path: Path) -> None:
    run = begun_in(tmp_path / "run", {"train": "a.csv", "folds": 3})
    assert "nothing was saved yet" in resume_line(run)
    for name, state in (("folds/0", "finished"), ("folds/1", "failed"), ("final", "finished")):
        Run.create(run.folder / name).set_status(state)
    assert finished_runs(run.folder) == 2
    assert (
        resume_line(run) == f"`welltuned resume {run.folder}` goes on; of its runs 2 have finished"
    )
