"""Terminal view of a learning curve while it is being measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from welltuned.experiments.search.learning_curve import CurvePlan
from welltuned.experiments.search.run_points import CurveObserver
from welltuned.schema.units import duration_text
from welltuned.schema.versions import LEARNING_CURVE

_WIDTH = 40


class CurveConsole(CurveObserver):
    """Tells a person at a terminal how far a learning curve is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._metric = ""
        self._under_way: dict[tuple[int, int], str] = {}
        """By examples and seed, with what each run is doing."""
        self._done = self._runs = 0
        self._last = 0.0

    def planned(self, plan: CurvePlan) -> None:
        self._metric, self._runs = plan.metric, len(list(plan.points()))
        say = self._console.print
        say(
            f"[bold]learning curve[/] of {plan.config.strategy.type} on "
            f"{escape(plan.config.model.name)}: {self._runs} runs by validation {plan.metric}"
        )
        for size in plan.sizes:
            epochs = f", {plan.epochs_at(size):.3g} epochs" if plan.epochs else ""
            say(f"[dim]·[/] {size:,} examples, {plan.settings.seeds} seeds{epochs}")
        say(f"[dim]·[/] curve folder {escape(str(plan.folder))}")
        if self._console.is_terminal:
            self._status = self._console.status("preparing")
            self._status.start()

    def point_started(self, size: int, seed: int) -> None:
        self._under_way[size, seed] = "preparing"
        self._tell(force=True)

    def point_advanced(self, size: int, seed: int, doing: str) -> None:
        self._under_way[size, seed] = doing
        self._tell()

    def point_lost(self, size: int, seed: int, reason: str) -> None:
        self._console.print(f"{size:,} examples, seed {seed}: {escape(reason)}; it is begun again")

    def point_ended(self, size: int, seed: int, score: float, seconds: float | None) -> None:
        self._done += 1
        self._under_way.pop((size, seed), None)
        took = "was there already" if seconds is None else f"in {duration_text(seconds)}"
        self._console.print(
            f"run {self._done}/{self._runs} · {size:,} examples, seed {seed}: "
            f"{self._metric} {score:.4f} {took}"
        )

    def close(self) -> None:
        """Leave the terminal as it was, also after a failure."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _tell(self, force: bool = False) -> None:
        if self._status is not None and (force or time.monotonic() - self._last > 0.25):
            self._last = time.monotonic()
            told = [
                f"{size:,} examples, seed {seed} · {doing}"
                for (size, seed), doing in self._under_way.items()
            ]
            self._status.update("\n".join([f"{self._done} of {self._runs} runs", *told]))


def curve_lines(folder: Path) -> list[str]:
    """What a learning curve has come to, as plain lines for standard output."""
    found = LEARNING_CURVE.read(folder / "learning_curve.json")
    predicted = [{**point, "predicted": True} for point in found["predictions"][1:]]
    return [
        f"{'examples':>12}  {found['metric']:>10}",
        *_chart([*found["points"], *predicted]),
        "",
        found["advice"],
        f"report      {folder / 'report.html'}",
    ]


def _chart(points: list[dict[str, Any]]) -> list[str]:
    """One line a size: the score, its interval, and both drawn on one scale."""
    low, high = min(point["low"] for point in points), max(point["high"] for point in points)
    scale = (_WIDTH - 1) / max(high - low, 1e-12)

    def place(value: float) -> int:
        return round((value - low) * scale)

    lines = []
    for point in points:
        row = [" "] * _WIDTH
        for i in range(place(point["low"]), place(point["high"]) + 1):
            row[i] = "─"
        row[place(point["value"])] = "◆" if "predicted" in point else "●"
        interval = f"[{point['low']:.3f}, {point['high']:.3f}]"
        told = "  predicted" if "predicted" in point else ""
        lines.append(
            f"{point['examples']:>12,}  {point['value']:>10.3f}  {interval:16} "
            f"{''.join(row)}{told}".rstrip()
        )
    return lines
