"""Observers of a comparison, and the state they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import BESIDE, ComparisonResults

State = Literal["waiting", "running", "finished", "failed", "stopped", "dropped"]


@dataclass
class CellState:
    """How one cell stands."""

    seed: int
    folder: str
    """From the comparison's folder."""
    state: State = "waiting"
    score: float | None = None
    """Its headline score on the test split."""
    seconds: float | None = None
    """From the start of its process to the end."""
    error: str | None = None
    done: float = field(default=0.0, repr=False)
    """The share of its steps that are taken."""
    doing: str = field(default="", repr=False)


@dataclass
class StrategyRow:
    """A strategy with its cells."""

    name: str
    slug: str
    cells: list[CellState] = field(default_factory=list)
    impossible: str | None = None
    """Why it cannot be carried out on this model and these data."""
    model: str | None = None
    """What its model is called, where several are compared."""


@dataclass
class Board:
    """The whole comparison, as it stands."""

    rows: list[StrategyRow]
    metric: str = ""
    workers: int = 1
    """Cells that run at the same time."""

    @property
    def cells(self) -> list[CellState]:
        """All cells, a strategy after the other."""
        return [cell for row in self.rows for cell in row.cells]

    @property
    def size(self) -> str:
        """`5 strategies`, or `5 strategies on 2 models`."""
        models = {row.model for row in self.rows if row.model is not None}
        strategies = {row.name.removesuffix(f"{BESIDE}{row.model}") for row in self.rows}
        on_models = f" on {len(models)} models" if models else ""
        return f"{len(strategies)} strategies{on_models}"

    def seconds_left(self) -> float | None:
        """An estimate from what has ended: its own strategy's cells first, else all cells.

        None before the first has ended.
        """
        ended = [cell.seconds for cell in self.cells if cell.seconds]
        if not ended:
            return None
        left = 0.0
        for row in self.rows:
            own = [cell.seconds for cell in row.cells if cell.seconds] or ended
            open_cells = [cell for cell in row.cells if cell.state in ("waiting", "running")]
            left += sum(own) / len(own) * sum(1 - cell.done for cell in open_cells)
        return left / self.workers


class ComparisonObserver:
    """Observes the whole comparison; each method does nothing unless overridden."""

    def noted(self, text: str) -> None:
        """A note for the user."""

    def working(self, what: str, done: int, total: int) -> None:
        """Work other than cells has come this far."""

    def planned(self, comparison: Comparison, board: Board) -> None:
        """Everything is validated; the cells come next."""

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        """A cell has started, ended, or come further."""

    def ended(self, comparison: Comparison, results: ComparisonResults) -> None:
        """All cells have ended, and this is what they say."""
