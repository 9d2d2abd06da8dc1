"""How far answering has come, for those who wait for it longer than two seconds."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from welltuned.schema.units import rate_text
from welltuned.training.waits import PATIENCE, Pace

if TYPE_CHECKING:
    from rich.progress import Progress

_LOOKS = 0.5
"""Seconds between two looks at how far it is."""


class AnswerProgress:
    """Counts rows and tells of them on standard error: a bar at a terminal, else a line at times.

    A thread tells, for texts are answered many at once, and the first of them may take long. The
    rate is that of this process, and not of those before it that left `done` rows.
    """

    def __init__(self, total: int, done: int = 0, bar: bool = True, lines: bool = True) -> None:
        self._total, self._done, self._before = total, done, done
        at_terminal = sys.stderr.isatty()
        self._wants_bar, self._wants_lines = bar and at_terminal, lines and not at_terminal
        self._began = time.monotonic()
        self._pace = Pace()
        self._bar: Progress | None = None
        self._told = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)

    def __enter__(self) -> AnswerProgress:
        if self._wants_bar or self._wants_lines:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._bar is not None:
            self._draw()
            self._bar.stop()
        elif self._told and error is None:
            self._print()

    def advance(self) -> None:
        """One row more has its answer."""
        self._done += 1

    def look(self) -> None:
        """Tell how far it is, if that is due."""
        if self._wants_bar and time.monotonic() - self._began >= PATIENCE:
            self._draw()
        elif self._wants_lines and self._pace.is_due("answering"):
            self._told = True
            self._print()

    def _keep_looking(self) -> None:
        while not self._over.wait(_LOOKS):
            self.look()

    @property
    def _rate(self) -> str:
        """Empty before the first answer."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        number = self._done - self._before
        return rate_text(number / seconds, "texts") if number else ""

    def _print(self) -> None:
        rate = f" · {self._rate}" if self._rate else ""
        print(f"answered {self._done:,} of {self._total:,}{rate}", file=sys.stderr)

    def _draw(self) -> None:
        if self._bar is None:
            self._bar = _new_bar()
            self._bar.add_task("answering", total=self._total, text="")
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=self._done, text=self._rate)


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True, highlight=False),
    )
