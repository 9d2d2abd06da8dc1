"""Labels to check of what has finished: the test split, by all runs together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.experiments.labels.cell_suspects import check_labels_of_folder
from welltuned.runs.suspects_schema import read_suspects


def spoilt(folder: Path, to: Path) -> Path:
    """A copy in which every run is sure that the first test label is wrong, and the rest right."""
    shutil.copytree(folder, to)
    for file in sorted(to.rglob("predictions.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for i, row in enumerate(rows):
            other = next(name for name in row["probabilities"] if name != row["label"])
            sure = other if i == 0 else row["label"]
            high = 0.95 if i == 0 else 0.9
            row["probabilities"] = {
                name: high if name == sure else 1 - high for name in row["probabilities"]
            }
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return to


def test_cells_judge_the_test_split_together(compared: Any, tmp_path: Path) -> None:
    folder = spoilt(compared.folder, tmp_path / "reviews")
    output = check_labels_of_folder(folder)
    found = read_suspects(output)
    assert output == folder / "suspects"
    assert (found["splits"], found["folds"], found["examples"]) == (["test"], None, 12)
    assert len(found["judged_by"]) == 4
    (suspect,) = found["suspects"]
    assert suspect["suggested"] != suspect["label"]
    assert suspect["probability"] == pytest.approx(0.05)
    assert found["score"] == pytest.approx(11 / 12, abs=0.01)
    recommended = compared.results["recommendation"].get("command")
    assert recommended and str(found["command"]).startswith(recommended)
    assert f"data.corrections={output / 'suspects.csv'}" in str(found["command"])
    assert check_labels_of_folder(folder) == folder / "suspects-2", "nothing is overwritten"


def test_one_run_judges_as_well(finished: Any, tmp_path: Path) -> None:
    folder = spoilt(finished.folder, tmp_path / "run")
    found = read_suspects(check_labels_of_folder(folder))
    assert found["judged_by"] == ["run"] and len(found["suspects"]) == 1
    assert str(folder / "config.yaml") in str(found["command"])


def test_runs_that_give_no_labels_judge_none(rewarded: Any, tmp_path: Path) -> None:
    shutil.copytree(rewarded.folder, tmp_path / "run")
    with refused("suspects.nothing_judged"):
        check_labels_of_folder(tmp_path / "run")


def test_keys_of_a_config_are_refused_beside_a_finished_run(finished: Any, call: Any) -> None:
    status, out, err = call("data", "suspects", finished.folder, "folds=3")
    assert (status, out) == (2, "") and "[cli.suspects_options]" in err
