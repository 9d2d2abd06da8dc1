"""Terminal view of a sweep: a live table, or plain lines without a terminal.

Everything goes to standard error. Standard output carries results alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from welltuned.experiments.search.journal import Trial, TrialRow
from welltuned.experiments.search.plan import SweepPlan
from welltuned.experiments.search.summary import best_of
from welltuned.experiments.search.sweep import SweepObserver
from welltuned.schema.units import duration_text
from welltuned.schema.versions import SWEEP

_ROWS = 12
"""So many trials are shown at once: the best ones so far, and those under way."""


class SweepConsole(SweepObserver):
    """Tells a person at a terminal how a sweep goes."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._plan: SweepPlan | None = None
        self._rows: list[TrialRow] = []
        self._doing = ""
        self._under_way: dict[int, tuple[Trial, str]] = {}
        """By number, with what each is doing."""
        self._last = 0.0

    def working(self, what: str, done: int, total: int) -> None:
        self._doing = f"{what} {done:,}/{total:,}"
        self._draw()

    def planned(self, plan: SweepPlan, rows: list[TrialRow]) -> None:
        self._plan, self._rows = plan, rows
        say = self._console.print
        say(
            f"[bold]sweep[/] of {plan.config.strategy.type} on {escape(plan.config.model.name)}: "
            f"{plan.settings.trials} trials by validation {plan.metric}"
        )
        say(f"[dim]·[/] sweep folder {escape(str(plan.folder))}")
        for dimension in plan.space:
            usual = (
                f" (usually {_shown(plan.usual[dimension.key])})"
                if dimension.key in plan.usual
                else ""
            )
            say(f"[dim]·[/] {escape(f'{dimension.key}: {dimension}{usual}')}")
        done = sum(row.state in ("finished", "pruned", "failed") for row in rows)
        if done:
            say(f"[dim]·[/] going on: {done} trials are there already")
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def trial_started(self, trial: Trial) -> None:
        self._under_way[trial.number] = trial, "preparing"
        self._draw(force=True)

    def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
        self._under_way[trial.number] = trial, doing
        self._draw()

    def trial_lost(self, trial: Trial, reason: str) -> None:
        self._console.print(escape(f"trial {trial.number}: {reason}; it is begun again"))

    def trial_ended(self, row: TrialRow, rows: list[TrialRow]) -> None:
        assert self._plan is not None
        self._rows = rows
        self._under_way.pop(row.number, None)
        if self._live is None:
            best = best_of(rows, self._plan.maximize)
            standing = f" (best {best.value:.4f}, trial {best.number})" if best else ""
            self._console.print(
                escape(f"trial {row.number} {_outcome(row)}{standing} · {_values(row.values)}")
            )
        self._draw(force=True)

    def close(self) -> None:
        """Leave the terminal as it was, also after a failure."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, force: bool = False) -> None:
        if self._live is None or not (force or time.monotonic() - self._last > 0.25):
            return
        self._last = time.monotonic()
        assert self._plan is not None
        lines = [
            f"trial {trial.number}: {doing} · {_values(trial.values)}"
            for trial, doing in self._under_way.values()
        ]
        doing = Text("\n".join(lines or [self._doing]), style="dim", overflow="ellipsis")
        self._live.update(Group(trials_table(self._plan, self._rows), doing))


def trials_table(plan: SweepPlan, rows: list[TrialRow]) -> Table:
    """The best trials so far, best first, and how many others there are."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("trial", justify="right")
    table.add_column(plan.metric, justify="right")
    for dimension in plan.space:
        table.add_column(dimension.key.rpartition(".")[2], justify="right", overflow="fold")
    scored = [row for row in rows if row.value is not None]
    scored.sort(key=lambda row: -(row.value or 0) if plan.maximize else (row.value or 0))
    for i, row in enumerate(scored[:_ROWS]):
        values = (_shown(row.values[dimension.key]) for dimension in plan.space)
        name = f"{'* ' if row.usual else ''}{row.number}"
        table.add_row(name, f"{row.value:.4f}", *values, style="bold" if i == 0 else "")
    states = ("finished", "pruned", "failed", "running")
    counts = {state: sum(row.state == state for row in rows) for state in states}
    told = [f"{number} {state}" for state, number in counts.items() if number]
    table.caption = " · ".join([*told, *["* the defaults"] * any(row.usual for row in scored)])
    return table


def sweep_lines(folder: Path) -> list[str]:
    """What a sweep has come to, as plain lines for standard output."""
    summary = SWEEP.read(folder / "sweep.json")
    trials, metric = summary["trials"], summary["metric"]
    states = {trial["state"]: 0 for trial in trials}
    for trial in trials:
        states[trial["state"]] += 1
    told = ", ".join(f"{number} {state}" for state, number in states.items())
    lines = [f"sweep       {folder}", f"trials      {told}"]
    best = next((trial for trial in trials if trial["number"] == summary["best"]), None)
    usual = next((t for t in trials if t["usual"] and t["value"] is not None), None)
    if best:
        against = f" · defaults {usual['value']:.4f}" if usual else ""
        lines.append(
            f"best        validation {metric} {best['value']:.4f} (trial {best['number']}){against}"
        )
        lines.append(f"            {_values(best['values'])}")
    if summary["importance"]:
        shares = (f"{key} {share:.0%}" for key, share in summary["importance"].items())
        lines.append(f"mattered    {' · '.join(shares)}")
    if summary["command"]:
        lines.append(f"test it     {summary['command']}")
    lines.append(f"report      {folder / 'report.html'}")
    return lines


def _outcome(row: TrialRow) -> str:
    of_what = " of CPU time" if row.side_by_side else ""
    seconds = f" in {duration_text(row.seconds)}{of_what}" if row.seconds is not None else ""
    if row.value is not None:
        return f"{row.value:.4f}{seconds}"
    return str(row.reason) if row.state == "pruned" else f"{row.state}: {row.reason}"


def _values(values: dict[str, Any]) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={_shown(value)}" for key, value in values.items())


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
