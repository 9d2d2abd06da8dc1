"""Cells: finished, stale, replaced and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from welltuned.config import run_config_from
from welltuned.experiments.comparison.cells import (
    Cell,
    cell_record,
    freeze_shared_settings,
    keep_record,
    make_room,
)
from welltuned.experiments.executors.train_run import TRAIN
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SharedSettings


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return Comparison(tmp_path)


@pytest.fixture
def cell(comparison: Comparison) -> Cell:
    run = comparison.cell("lora", 1)
    config = run_config_from(
        {"model": "m", "data": "d.jsonl", "strategy": "lora", "output_dir": str(run.folder)}
    )
    return Cell("lora", 1, config, "key-1", run)


def finish(cell: Cell) -> Cell:
    cell.run.checkpoints.mkdir(parents=True)
    cell.run.set_status("finished")
    keep_record(cell, {"seconds": 3.0})
    return cell


def other(cell: Cell) -> Cell:
    """The same place, made from something else."""
    return Cell(cell.name, cell.seed, cell.config, "key-2", cell.run)


def test_a_cell_that_is_not_there_is_neither_finished_nor_stale(cell: Cell) -> None:
    assert not cell.is_finished and not cell.is_stale and cell_record(cell.run) == {}


def test_a_cell_is_finished_when_it_is_whole_and_made_from_the_same(cell: Cell) -> None:
    finish(cell)
    assert cell.is_finished and not cell.is_stale
    assert other(cell).is_stale and not other(cell).is_finished


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_cell_that_did_not_end_well_is_run_again(cell: Cell, state: str) -> None:
    finish(cell)
    cell.run.set_status(state)
    assert not cell.is_finished and not other(cell).is_stale


def test_a_record_that_is_torn_counts_as_none(cell: Cell) -> None:
    finish(cell)
    (cell.run.folder / "cell.json").write_text('{"key": "key-', encoding="utf-8")
    assert cell_record(cell.run) == {} and not cell.is_finished


def test_checkpoints_go_when_the_record_is_kept(cell: Cell) -> None:
    finish(cell)
    assert not cell.run.checkpoints.exists()
    expected = {"name": "lora", "seed": 1, "key": "key-1", "cost": {"seconds": 3.0}}
    assert cell_record(cell.run) == expected


def test_there_is_room_where_nothing_is(cell: Cell, comparison: Comparison) -> None:
    assert make_room(cell, comparison, {}) is None


def test_what_is_unfinished_is_cleared(cell: Cell, comparison: Comparison) -> None:
    cell.run.checkpoints.mkdir(parents=True)
    cell.run.set_status("running")
    assert make_room(cell, comparison, {}) is None and not cell.run.folder.exists()


def test_what_was_interrupted_is_left_to_go_on(cell: Cell, comparison: Comparison) -> None:
    cell.run.folder.mkdir(parents=True)
    cell.run.set_status("running", 7)
    cell.run.write("start.json", {"asked": cell.config.model_dump(mode="json")})
    assert make_room(cell, comparison, {}) is None and cell.run.step == 7
    settled: SharedSettings = {"precision": "bf16", "pooling": "mean"}
    assert make_room(cell, comparison, settled) is None and not cell.run.folder.exists()


def test_what_is_finished_is_put_aside_every_time(cell: Cell, comparison: Comparison) -> None:
    places = []
    for _ in range(2):
        finish(cell)
        places.append(make_room(other(cell), comparison, {}))
        assert not cell.run.folder.exists()
    assert len(set(places)) == 2
    for place in places:
        assert place is not None
        assert cell_record(Run(comparison.folder / place))["key"] == "key-1"


def test_the_request_has_what_was_settled_for_all_cells(cell: Cell) -> None:
    asked = cell.request({"precision": "bf16", "pooling": "mean"})
    assert asked["do"] == TRAIN
    assert asked["config"]["training"]["precision"] == "bf16"
    assert asked["config"]["task"]["pooling"] == "mean"
    assert run_config_from(asked["config"]).strategy == cell.config.strategy


def test_where_nothing_was_settled_the_config_is_left_alone(cell: Cell) -> None:
    assert freeze_shared_settings(cell.config, {}) is cell.config


def test_each_model_has_what_was_settled_for_it(cell: Cell) -> None:
    settled: SharedSettings = {
        "precision": "fp32",
        "pooling": "mean",
        "models": {
            "other": {"precision": "fp32", "pooling": "mean"},
            "m revision=v1": {"precision": "bf16", "pooling": "last"},
        },
    }
    model = cell.config.model.model_copy(update={"revision": "v1"})
    config = cell.config.model_copy(update={"model": model})
    frozen = freeze_shared_settings(config, settled)
    assert (frozen.training.precision, frozen.task.pooling) == ("bf16", "last")
    alone = freeze_shared_settings(cell.config, settled)
    assert (alone.training.precision, alone.task.pooling) == ("fp32", "mean"), "none of its own"
