"""Resource plans and forecast checks as terminal tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.schema.units import duration_text, size_text
from welltuned.training.forecast.accuracy import ForecastChecks
from welltuned.training.forecast.limits import Limits
from welltuned.training.forecast.memory import MemoryForecast
from welltuned.training.forecast.plan import PlanRow, ResourcePlan


def render_plan(plan: ResourcePlan) -> RenderableType:
    """The table of strategies, where the memory goes, and what to change."""
    table = _table(plan.of, ("trains", "of", "steps", "memory", "training", "all", "disk"))
    table.add_column("fits")
    for row in plan.rows:
        style = "" if row.fits else "dim"
        table.add_row(*_cells(row, mark=plan.of == "strategy"), style=style)
    return Group(table, Text(""), *(Text(line) for line in _lines(plan)))


def _cells(row: PlanRow, mark: bool) -> Iterator[str]:
    yield row.name + (" (asked)" if row.asked and mark else "")
    if row.forecast is None:
        yield from ("", "", "", "", "", "", "", f"cannot: {row.refused}")
        return
    found = row.forecast
    yield f"{found.trainable:,}"
    yield f"{found.trainable / found.parameters:.1%}"
    yield f"{found.steps:,}" if found.steps else "–"
    yield size_text(found.memory.total)
    yield duration_text(found.train_seconds)
    yield duration_text(found.seconds)
    yield size_text(found.disk_bytes)
    yield "yes" if row.fits else f"no: {', '.join(row.exceeds)}"


def _lines(plan: ResourcePlan) -> Iterator[str]:
    yield f"limits      {_limits(plan.limits)}"
    for row in plan.rows:
        if row.asked and row.forecast is not None:
            of = f"{row.name}: " if plan.of == "stage" else ""
            yield f"memory      {of}{_parts(row.forecast.memory)}"
    for i, advice in enumerate(plan.advice):
        yield f"{'change' if i == 0 else '':11} {advice}"
    yield from (f"base        {note}" for note in plan.notes)
    if not plan.machine.complete and plan.machine.key["device"] == "cpu":
        yield "note        the memory of libraries and allocator is assumed, not measured here"


def _limits(limits: Limits) -> str:
    told = {
        "memory": size_text(limits.memory) if limits.memory else "",
        "time": duration_text(limits.time) if limits.time else "",
        "disk": size_text(limits.disk) if limits.disk else "",
    }
    return " · ".join(f"{name} {text}" for name, text in told.items() if text)


def _parts(memory: MemoryForecast) -> str:
    """Where the memory of the config's own strategy goes, the parts as they are named."""
    parts = {
        "Python and data": memory.process,
        "libraries": memory.libraries,
        "weights": memory.weights,
        "gradients": memory.gradients,
        "optimizer": memory.optimizer,
        **{f"activations ({place})": taken for place, taken in memory.activations.items()},
        **memory.roles,
        "states of frozen blocks": memory.states,
        "allocator": memory.allocator,
        "saving and proof": memory.elsewhere,
    }
    return " · ".join(f"{name} {size_text(taken)}" for name, taken in parts.items() if taken)


def render_check(checks: ForecastChecks) -> RenderableType:
    """The accuracy of each quantity, every run, and what was left out."""
    summary = _table("forecast of", ("runs", "median error", "within 15%", "within 25%", "worst"))
    summary.add_column("in run")
    for accuracy in checks.accuracy():
        shares = (f"{share:.0%}" for share in accuracy.within.values())
        summary.add_row(
            accuracy.quantity,
            f"{accuracy.runs}",
            f"{accuracy.median:.0%}",
            *shares,
            f"{accuracy.worst:+.0%}",
            accuracy.worst_run,
        )
    runs = _table("run", ("strategy", "memory", "was", "off", "training", "was", "off"))
    for pair in checks.runs:
        runs.add_row(
            pair.run,
            pair.strategy,
            size_text(pair.predicted["memory"]),
            size_text(pair.measured["memory"]),
            f"{pair.error('memory'):+.0%}",
            duration_text(pair.predicted["time"]),
            duration_text(pair.measured["time"]),
            f"{pair.error('time'):+.0%}",
        )
    left = [Text(f"left out    {run}: {why}") for run, why in checks.left_out.items()]
    return Group(summary, Text(""), runs, *left)


def _table(first: str, others: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
