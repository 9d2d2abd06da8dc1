"""A comparison reported through `logging`, for programs that call `wt.compare`."""

from __future__ import annotations

import logging

from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonResults
from welltuned.schema.units import duration_text

log = logging.getLogger("welltuned.compare")


class LoggingComparisonObserver(ComparisonObserver):
    """Logs the start and the end of every run at INFO, and runs that failed at WARNING."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._working = ""

    def noted(self, text: str) -> None:
        log.info("%s", text)

    def working(self, what: str, done: int, total: int) -> None:
        if what != self._working:
            log.info("%s", what)
        self._working = what

    def planned(self, comparison: Comparison, board: Board) -> None:
        log.info("%s, %d runs, in %s", board.size, len(board.cells), comparison.folder)
        for row in board.rows:
            if row.impossible:
                log.warning("%s is left out: %s", row.name, row.impossible)
        self._states = {cell.folder: cell.state for cell in board.cells}

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        if cell.state == self._states.get(cell.folder):
            return
        self._states[cell.folder] = cell.state
        name = f"{row.name}, seed {cell.seed}"
        if cell.state == "failed":
            log.warning("%s failed: %s", name, cell.error)
        elif cell.state == "finished":
            score = "" if cell.score is None else f"{board.metric} {cell.score:.4f}, "
            log.info("%s: %s%s", name, score, duration_text(cell.seconds or 0.0))
        else:
            log.info("%s: %s", name, cell.state)

    def ended(self, comparison: Comparison, results: ComparisonResults) -> None:
        chosen = results["recommendation"]["strategy"]
        log.info("recommended: %s; report: %s", chosen or "none", comparison.report)
