"""What is said of real runs that were made to have one fault each, and of healthy ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from planted import PLANTED, plant
from welltuned.training.diagnosis import HEALTHY
from welltuned.training.output_folder import prepare_in_folder
from welltuned.training.preparation.load_config import load_config

FAULTS = [kind for kind in PLANTED if kind != HEALTHY]


@pytest.fixture(scope="module")
def planted(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run of each kind."""
    return {kind: plant(kind, 0, tiny("bert"), tmp_path_factory.mktemp("run")) for kind in PLANTED}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_run_is_seen_for_what_it_is(kind: str, planted: dict[str, Any]) -> None:
    run = planted[kind]
    assert run.status["diagnosis"]["verdict"] == kind
    if run.status["state"] == "finished":
        assert run.results["diagnosis"]["verdict"] == kind


@pytest.mark.parametrize("kind", FAULTS)
def test_what_to_try_next_is_a_command_that_runs(kind: str, planted: dict[str, Any]) -> None:
    told = planted[kind].status["diagnosis"]
    program, verb, file, *changes = shlex.split(told["command"])
    assert (program, verb) == ("welltuned", "train") and told["next"].endswith(told["command"])
    prepared = prepare_in_folder(load_config(file, changes))
    assert not Path(str(prepared.config.output_dir)).exists()
    before = planted[kind].config
    assert prepared.config.model_dump(mode="json", exclude={"output_dir"}) != before


def test_a_collapse_is_told_while_training_goes_on(planted: dict[str, Any]) -> None:
    rows = planted["collapsed"].read_lines("metrics.jsonl")
    (warning,) = [row["warning"] for row in rows if "warning" in row]
    assert warning["fault"] == "collapsed" and "class_weights" in warning["command"]


def test_a_healthy_run_is_never_warned(planted: dict[str, Any]) -> None:
    assert not [row for row in planted[HEALTHY].read_lines("metrics.jsonl") if "warning" in row]


@pytest.mark.slow
@pytest.mark.timeout(900)  # ten trainings
@pytest.mark.parametrize("kind", PLANTED)
def test_of_ten_planted_runs_nine_are_seen_and_no_healthy_one_is_accused(
    kind: str, tiny: Any, tmp_path: Path
) -> None:
    seen = [
        plant(kind, seed, tiny("bert"), tmp_path / str(seed)).status["diagnosis"]["verdict"]
        for seed in range(41, 51)
    ]
    assert seen.count(kind) >= (10 if kind == HEALTHY else 9), seen
