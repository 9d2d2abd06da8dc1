"""A comparison on a terminal, and what is printed of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from welltuned.cli.console import comparison as module
from welltuned.cli.console.comparison import LiveTable, conclusion, results_table
from welltuned.experiments.comparison.observer import Board, CellState, StrategyRow
from welltuned.reports.page import metric_name
from welltuned.runs.comparison_folder import Comparison


def printed(renderable: Any, width: int = 200) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width, highlight=False).print(renderable)
    return buffer.getvalue()


def board() -> Board:
    rows = [
        StrategyRow(
            "full", "full", [CellState(0, "cells/full/seed-0"), CellState(1, "cells/full/seed-1")]
        ),
        StrategyRow(
            "lora", "lora", [CellState(0, "cells/lora/seed-0"), CellState(1, "cells/lora/seed-1")]
        ),
        StrategyRow("prompt", "prompt", impossible="no room"),
    ]
    return Board(rows, "macro_f1")


def plain() -> tuple[LiveTable, io.StringIO]:
    buffer = io.StringIO()
    return LiveTable(Console(file=buffer, width=120, highlight=False)), buffer


def test_without_a_terminal_there_is_a_line_a_cell() -> None:
    table, buffer = plain()
    current = board()
    cell = current.rows[0].cells[0]
    table.changed(current, current.rows[0], cell)
    cell.state = "running"
    table.changed(current, current.rows[0], cell)
    cell.state, cell.score, cell.seconds = "finished", 0.8123456, 30.0
    table.changed(current, current.rows[0], cell)
    cell = current.rows[1].cells[0]
    cell.state, cell.error, cell.seconds = "failed", "MemoryError: [red]", 5.0
    table.changed(current, current.rows[1], cell)
    assert buffer.getvalue().splitlines() == [
        "1/4 full, seed 0: macro-F1 0.8123, 30.0 s · about 1 min 30 s left",
        "✕ lora, seed 0: MemoryError: [red]",
    ]


def test_a_log_is_not_silent_while_cells_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.0)
    table, buffer = plain()
    current = board()
    cells = current.rows[0].cells[0], current.rows[1].cells[0]
    for row, cell in zip(current.rows, cells, strict=False):
        cell.state, cell.doing = "running", "step 3/10"
        table.changed(current, row, cell)
    assert buffer.getvalue() == ""
    table.changed(current, current.rows[1], cells[1])
    assert buffer.getvalue() == "· full, seed 0: step 3/10 · lora, seed 0: step 3/10\n"


def test_the_plan_names_what_is_left_out(compared: Comparison) -> None:
    table, buffer = plain()
    current = board()
    current.rows[0].cells[0].state = "finished"
    table.planned(compared, current)
    assert "3 strategies, 4 runs, 1 of them finished, in" in buffer.getvalue()
    assert "prompt is left out: no room" in buffer.getvalue()


def test_on_a_terminal_the_table_fills() -> None:
    buffer = io.StringIO()
    console = Console(file=buffer, width=120, force_terminal=True, color_system=None)
    current = board()
    first, running = current.rows[0].cells
    first.state, first.score, first.seconds = "finished", 0.75, 20.0
    running.state, running.doing, running.done = "running", "step 5/10", 0.5
    with LiveTable(console) as table:
        table.changed(current, current.rows[0], running)
        table.working("checking full", 0, 1)
        picture = printed(table._picture(current))
    assert "●◐" in picture and "seed 1: step 5/10" in picture
    assert "0.750" in picture and "20.0 s" in picture
    assert "about 50.0 s left" in picture, "half of one, and two of the other strategy"
    assert "left out" in picture
    assert "checking full" in buffer.getvalue()


def test_time_left_is_that_of_the_own_strategy_and_shared_by_workers() -> None:
    current = board()
    assert current.seconds_left() is None
    (full, _), (lora, _) = current.rows[0].cells, current.rows[1].cells
    full.state, full.seconds = "finished", 100.0
    lora.state, lora.seconds = "finished", 10.0
    assert current.seconds_left() == 110
    current.workers = 2
    assert current.seconds_left() == 55


def test_the_results_are_a_table_best_first(compared: Comparison) -> None:
    results = compared.results
    text = printed(results_table(results))
    rows = [line.replace("●", " ").split() for line in text.splitlines()[1:]]
    scores = [float(next(word for word in row if word.startswith(("0.", "1.")))) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert sum("●" in line for line in text.splitlines()) == len(results["group"])
    assert metric_name(results["metric"]) in text.splitlines()[0]


def test_what_failed_and_what_was_left_out_say_why(compared: Comparison) -> None:
    results: Any = compared.results
    for row, change in zip(
        results["rows"],
        (
            {"scores": {}, "failed": [{"seed": 0, "error": "MemoryError"}]},
            {"scores": {}, "impossible": "no room"},
        ),
        strict=False,
    ):
        row |= change
    text = printed(results_table(results))
    assert "failed" in text and "MemoryError" in text
    assert "left out" in text and "no room" in text


def test_the_conclusion_has_choice_reasons_command_and_report(compared: Comparison) -> None:
    lines = conclusion(compared)
    recommendation = compared.results["recommendation"]
    assert lines[0] == f"recommended  {recommendation['strategy']}"
    assert lines[-2] == f"train it     {recommendation['command']}"
    assert lines[-1] == f"report       {compared.report}"
    assert "has the best macro-F1 on the test split" in " ".join(" ".join(lines).split())
    assert all(len(line) <= 88 for line in lines[1:-2])
