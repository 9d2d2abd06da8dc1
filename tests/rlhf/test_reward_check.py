"""A judge that guesses is told from one that knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from welltuned.rlhf.reward_check import weakness
from welltuned.runs import Run


def run_with(folder: Path, test: dict[str, Any], **others: Any) -> Run:
    run = Run.create(folder / "run")
    run.write("results.json", {"test": test, **others})
    return run


@pytest.mark.parametrize(
    ("test", "weak"),
    [
        ({"pair_accuracy": 0.7, "pair_accuracy_ci95": [0.6, 0.8]}, False),
        ({"pair_accuracy": 0.56, "pair_accuracy_ci95": [0.49, 0.63]}, True),
        ({"pair_accuracy": 0.3, "pair_accuracy_ci95": [0.2, 0.4]}, True),
        ({"pair_accuracy": 0.7}, False),
        ({"pair_accuracy": 0.5}, True),
        ({"spearman": 0.4, "spearman_ci95": [0.2, 0.5], "r2": -3.0}, False),
        ({"spearman": 0.1, "spearman_ci95": [-0.1, 0.3], "r2": 0.2}, True),
        ({"spearman": None, "spearman_ci95": [None, None]}, True),
        ({"r2": 0.2}, False),
        ({"r2": -0.2}, True),
        ({}, False),
    ],
)
def test_better_than_chance_is_a_matter_of_the_lower_bound(
    test: dict[str, Any], weak: bool, tmp_path: Path
) -> None:
    assert (weakness(run_with(tmp_path, test)) is not None) == weak


def test_a_classifier_has_to_beat_the_majority(tmp_path: Path) -> None:
    test = {"accuracy": 0.8, "accuracy_ci95": [0.75, 0.85]}
    majority = {"majority": {"accuracy": 0.78}}
    told = weakness(run_with(tmp_path, test, baselines=majority))
    assert told == "accuracy 0.800 [0.750, 0.850] on its test split; guessing reaches 0.780"
    better = run_with(tmp_path / "b", test, baselines={"majority": {"accuracy": 0.7}})
    assert weakness(better) is None
