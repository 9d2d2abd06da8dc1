"""Cells side by side: how many, how they are timed, and one whose process dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, Thread, carried_out, values_for
from welltuned.experiments.comparison import run_cells
from welltuned.experiments.comparison.cells import cell_record
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
