"""Terminal view of a comparison: a live table, or plain lines without a terminal."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.reports.page import metric_name, sorted_rows
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonResults, ComparisonRow
from welltuned.schema.messages import Message, render_message
from welltuned.schema.units import duration_text, size_text

_MARKS = {
    "waiting": ("·", "dim"),
    "running": ("◐", "cyan"),
    "finished": ("●", "green"),
    "failed": ("✕", "red"),
    "stopped": ("○", "yellow"),
    "dropped": ("–", "dim"),
}
_WIDTH = 88
_SILENCE = 10.0
"""Seconds after which a log is told how far the cells under way are."""


class LiveTable(ComparisonObserver):
    """Tells a person at a terminal how the comparison stands. Everything goes to standard error."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._working = ""
        self._board: Board | None = None
        self._known: dict[str, str] = {}
        self._started = self._told = time.monotonic()

    def __enter__(self) -> LiveTable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def noted(self, text: str) -> None:
        self._print(f"[yellow]·[/] {escape(text)}")

    def working(self, what: str, done: int, total: int) -> None:
        if self._console.is_terminal:
            share = f" {done:,}/{total:,}" if total > 1 else ""
            self._show(Text(f"{what}{share}", style="dim"))
        elif what != self._working:
            self._print(f"[dim]·[/] {escape(what)}")
        self._working = what

    def planned(self, comparison: Comparison, board: Board) -> None:
        self._close()
        done = sum(cell.state == "finished" for cell in board.cells)
        already = f", {done} of them finished" if done else ""
        self._print(
            f"[bold]{board.size}[/], {len(board.cells)} runs{already}, "
            f"in {escape(str(comparison.folder))}"
        )
        for row in board.rows:
            if row.impossible:
                self._print(
                    f"[yellow]·[/] {escape(row.name)} is left out: {escape(row.impossible)}"
                )
        self._board = board
        self._known = {cell.folder: cell.state for cell in board.cells}

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        self._board = board
        if self._console.is_terminal:
            self._show(self._picture(board))
        if cell.state != self._known.get(cell.folder):
            self._known[cell.folder] = cell.state
            self._tell(board, row, cell)
        elif not self._console.is_terminal:
            self._tell_now_and_then(board)

    def ended(self, comparison: Comparison, results: ComparisonResults) -> None:
        self._close()

    # --- Drawing ---

    def _tell(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        """A line for a cell that has ended."""
        if cell.state == "failed":
            self._print(
                f"[red]✕[/] {escape(row.name)}, seed {cell.seed}: {escape(cell.error or '')}"
            )
        elif cell.state == "finished" and not self._console.is_terminal:
            done = sum(c.state in ("finished", "failed") for c in board.cells)
            score = "" if cell.score is None else f"{metric_name(board.metric)} {cell.score:.4f}, "
            self._print(
                f"[dim]{done}/{len(board.cells)}[/] {escape(row.name)}, seed {cell.seed}: "
                f"{score}{duration_text(cell.seconds or 0)}{self._left(board)}"
            )

    def _tell_now_and_then(self, board: Board) -> None:
        """A line for all cells under way, in a log that was silent for a while."""
        if time.monotonic() - self._told < _SILENCE:
            return
        running = [
            f"{row.name}, seed {cell.seed}: {cell.doing}"
            for row in board.rows
            for cell in row.cells
            if cell.state == "running"
        ]
        self._print(f"[dim]· {escape(' · '.join(running))}[/]")

    def _left(self, board: Board) -> str:
        left = board.seconds_left()
        return f" · about {duration_text(left)} left" if left else ""

    def _picture(self, board: Board) -> Group:
        table = Table(box=None, padding=(0, 2), header_style="bold")
        table.add_column("strategy")
        table.add_column("seeds")
        table.add_column(metric_name(board.metric), justify="right")
        table.add_column("time a run", justify="right")
        table.add_column("now")
        for row in board.rows:
            table.add_row(*self._cells_of(row))
        spent = duration_text(time.monotonic() - self._started)
        return Group(table, Text(f"{spent}{self._left(board)}", style="dim"))

    def _cells_of(self, row: StrategyRow) -> list[Text]:
        if row.impossible:
            return [Text(row.name, style="dim"), Text("left out", style="dim"), *[Text("")] * 3]
        marks = Text()
        for cell in row.cells:
            mark, style = _MARKS[cell.state]
            marks.append(mark, style=style)
        scores = [cell.score for cell in row.cells if cell.score is not None]
        seconds = [cell.seconds for cell in row.cells if cell.seconds]
        now = [f"seed {c.seed}: {c.doing}" for c in row.cells if c.state == "running"]
        return [
            Text(row.name),
            marks,
            Text(f"{sum(scores) / len(scores):.3f}" if scores else ""),
            Text(duration_text(sum(seconds) / len(seconds)) if seconds else ""),
            Text(" · ".join(now), style="cyan"),
        ]

    def _show(self, picture: RenderableType) -> None:
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        self._live.update(picture)

    def _print(self, text: str) -> None:
        self._told = time.monotonic()
        (self._live.console if self._live else self._console).print(text)

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


# --- What came of it -----------------------------------------------------------------


def results_table(results: ComparisonResults) -> Table:
    """The table, best first; a dot marks what is shown to be within the tolerance of the best."""
    metric, costs = results["metric"], results["rows"]
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("")
    table.add_column("strategy")
    for name in (metric_name(metric), "95% interval", "training", "memory", "trains", "artifact"):
        table.add_column(name, justify="right")
    if kept := any(row["kept"] is not None for row in costs):
        table.add_column("kept", justify="right")
    for row in sorted_rows(results):
        style = "dim" if row["kind"] == "baseline" else ""
        mark = "●" if row["name"] in results["group"] else ""
        table.add_row(mark, *_columns(row, metric, kept), style=style)
    return table


def _columns(row: ComparisonRow, metric: str, kept: bool) -> list[Text]:
    if metric not in row["scores"]:
        reason = row["impossible"] or (row["failed"][0]["error"] if row["failed"] else "")
        return [Text(row["name"]), Text("failed" if row["failed"] else "left out"), Text(reason)]
    score, cost = row["scores"][metric], row["cost"]
    interval = score["interval"]
    share = cost["trainable_share"]
    failed = f" ({len(row['failed'])} failed)" if row["failed"] else ""
    columns = [
        row["name"] + failed,
        f"{score['mean']:.3f}",
        f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "",
        _shown(cost["train_seconds"], duration_text),
        _shown(cost["memory_bytes"], size_text),
        f"{share:.2%}" if share is not None else "",
        _shown(cost["artifact_bytes"], size_text),
    ]
    if kept:
        columns.append(_shown(row["kept"], "{:.1%}".format))
    return [Text(column) for column in columns]


def _shown(value: float | None, show: Callable[[float], str]) -> str:
    return "" if value is None else show(value)


def conclusion(comparison: Comparison) -> list[str]:
    """What the table does not show, the recommendation, its command, and where the report is."""
    recommendation = comparison.results["recommendation"]
    chosen = recommendation["strategy"]
    lines = [line for remark in comparison.results["remarks"] for line in _wrapped(remark, "· ")]
    lines += [""] if lines else []
    lines.append(f"recommended  {chosen or 'none'}")
    lines += [line for reason in recommendation["reasons"] for line in _wrapped(reason, " " * 13)]
    if chosen:
        lines.append(f"train it     {recommendation['command']}")
    return [*lines, f"report       {comparison.report}"]


def _wrapped(sentence: Message, before: str) -> list[str]:
    return textwrap.wrap(
        render_message(sentence), _WIDTH, initial_indent=before, subsequent_indent=" " * len(before)
    )
