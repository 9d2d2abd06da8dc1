"""Cells side by side: how many, how they are timed, and one whose process dies."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, Thread, carried_out, values_for
from welltuned.experiments.comparison import further_seeds, run_cells
from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.runs import process_memory


class Watching(ComparisonObserver):
    """Remembers how many cells ran at once, and what was noted."""

    def __init__(self) -> None:
        self.most = 0
        self.notes: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        self.most = max(self.most, sum(cell.state == "running" for cell in board.cells))


def test_two_workers_run_side_by_side(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None
) -> None:
    """Their times are CPU seconds, and the results say so."""
    watching = Watching()
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], workers=2, budget={"steps": 2}
    )
    comparison = carried_out(values, watching)
    assert watching.most == 2
    [told] = comparison.results["remarks"]
    assert told["code"] == "compare.side_by_side" and told["values"]["runs"] == 2
    taken = [cell_record(comparison.cell("head", seed))["cost"] for seed in (0, 1)]
    computed = sum(cost["cpu_seconds"] for cost in taken) / 2
    assert comparison.results["rows"][0]["cost"]["seconds"] == pytest.approx(computed)


def test_no_more_run_than_memory_has_room_for(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(process_memory, "available", lambda: 0)
    watching = Watching()
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], workers="auto",
        budget={"steps": 2},
    )  # fmt: skip
    carried_out(values, watching)
    assert watching.most == 1


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch, here: None) -> Any:
    """`dying(times)`: the process of a cell is killed so many times before it has done anything."""

    def dies(times: int) -> list[int]:
        left = [times]
        carry_out = Thread._work

        def work(worker: Thread) -> None:
            if "train_run" in str(worker.request["do"]) and left[0]:
                left[0] -= 1
                worker.end(-9)
            else:
                carry_out(worker)

        monkeypatch.setattr(Thread, "_work", work)
        return left

    return dies


def test_a_cell_whose_process_dies_is_tried_once_more(
    tiny: Any, sentiment: str, tmp_path: Path, dying: Any
) -> None:
    dying(1)
    watching = Watching()
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=1, budget={"steps": 2}
    )
    comparison = carried_out(values, watching)
    assert comparison.cell("head", 0).is_finished
    assert "head, seed 0: its process was ended by SIGKILL" in watching.notes[-1]


def test_one_that_dies_again_has_failed(
    tiny: Any, sentiment: str, tmp_path: Path, dying: Any
) -> None:
    left = dying(3)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=1, budget={"steps": 2}
    )
    [failed] = carried_out(values).results["rows"][0]["failed"]
    assert left == [1]
    assert "its process was ended by SIGKILL" in str(failed["error"])


def test_what_is_surely_worse_gets_no_further_seeds(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Who that is, is a matter of statistics; here it is LoRA."""
    monkeypatch.setattr(run_cells, "dropped", lambda standings, rounds: ["lora r=2"])
    monkeypatch.setattr(run_cells, "is_settled", lambda standings, gone: False)
    watching = Watching()
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", seeds=4, budget={"steps": 2})
    comparison = carried_out(values, watching)
    states = {
        row["name"]: [cell["state"] for cell in row["cells"]] for row in comparison.record["rows"]
    }
    assert states == {
        "head": ["finished"] * 4,
        "lora r=2": ["finished", "finished", "dropped", "dropped"],
    }
    [told] = [r for r in comparison.results["remarks"] if r["code"] == "compare.dropped"]
    assert told["values"]["seeds"] == "2" and told["values"]["asked"] == "4"
    assert [note for note in watching.notes if note.startswith("lora r=2 is not in question")]


def test_where_nothing_is_in_question_nobody_does(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(run_cells, "is_settled", lambda standings, gone: True)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=3, budget={"steps": 2}
    )
    comparison = carried_out(values)
    [row] = comparison.record["rows"]
    assert [cell["state"] for cell in row["cells"]] == ["finished", "finished", "dropped"]
    all_seeds = carried_out({**values, "adaptive": False})
    assert [cell["state"] for cell in all_seeds.record["rows"][0]["cells"]] == ["finished"] * 3


def test_time_that_is_left_goes_to_what_is_in_question(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """LoRA is dropped after two of three seeds; the head gets two further ones, and no third."""
    monkeypatch.setattr(run_cells, "dropped", lambda standings, rounds: ["lora r=2"])
    for module in (run_cells, further_seeds):
        monkeypatch.setattr(module, "is_settled", lambda standings, gone: False)
    monkeypatch.setattr(CompareConfig, "is_timed", True)
    left = chain([1e6, 1e6], repeat(0.0))
    monkeypatch.setattr(further_seeds, "seconds_left", lambda config, spent, cells: next(left))
    watching = Watching()
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", seeds=3, budget={"steps": 2})
    comparison = carried_out(values, watching)
    seeds = {
        row["name"]: [cell["seed"] for cell in row["cells"] if cell["state"] == "finished"]
        for row in comparison.record["rows"]
    }
    assert seeds == {"head": [0, 1, 2, 3, 4], "lora r=2": [0, 1]}
    assert comparison.results["rows"][0]["seeds"] == [0, 1, 2, 3, 4]
    [told] = [r for r in comparison.results["remarks"] if r["code"] == "compare.further_seeds"]
    assert told["values"] == {"added": 2, "names": "head"}
    before = comparison.results
    assert carried_out(values).results == before, "the same command finds all of it finished"


def test_a_further_seed_must_fit_into_the_time(
    tiny: Any, sentiment: str, tmp_path: Path, here: None, unread: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(further_seeds, "is_settled", lambda standings, gone: False)
    monkeypatch.setattr(further_seeds, "seconds_left", lambda config, spent, cells: 1e-6)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=2, budget={"steps": 2}
    )
    [row] = carried_out(values).record["rows"]
    assert [cell["seed"] for cell in row["cells"]] == [0, 1]
