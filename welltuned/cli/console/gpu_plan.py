"""The memory of each of several GPUs as a terminal table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.schema.units import size_text
from welltuned.training.forecast.gpu_plan import GpuPlan, WayMemory

_COLUMNS = (
    "weights in", "each GPU has", "recomputes", "weights", "optimizer", "gradients", "in use",
    "activations", "reserve", "in all", "fits",
)  # fmt: skip


def render_gpu_plan(plan: GpuPlan) -> RenderableType:
    """The table of ways, what was counted, and what to change."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for number, name in enumerate(_COLUMNS):
        table.add_column(name, justify="left" if number < 2 else "right")
    for row in plan.rows:
        table.add_row(*_cells(row, plan.gpus.number), style="" if row.fits else "dim")
    return Group(table, Text(""), *(Text(line) for line in _lines(plan)))


def _cells(row: WayMemory, number: int) -> Iterator[str]:
    way, memory = row.way, row.memory
    yield way.base + (" (asked)" if row.asked else "")
    yield f"1/{number} (fsdp2)" if way.sharded else "all"
    yield "yes" if way.recomputes else "no"
    parts = (memory.weights, memory.optimizer, memory.gradients, memory.in_use)
    for size in (*parts, memory.activations, memory.reserve, memory.total):
        yield size_text(size)
    yield "yes" if row.fits else "no"


def _lines(plan: GpuPlan) -> Iterator[str]:
    rows, columns = plan.tokens
    yield f"model       {plan.model}: {plan.parameters:,} weights, {plan.trainable:,} train"
    yield f"step        {rows:,} x {columns:,} tokens in the largest micro-batch of a GPU"
    yield f"GPUs        {plan.gpus.number} of {size_text(plan.gpus.memory)}"
    asked = next((row for row in plan.rows if row.asked), None)
    fitting = next((row for row in plan.rows if row.fits), None)
    if fitting is not None and not (asked is not None and asked.fits):
        yield f"change      to fit: {' '.join(fitting.way.keys)}"
    if fitting is None and plan.enough is not None:
        yield f"change      no way fits; {plan.enough:,} such GPUs would do"
    if fitting is None and plan.enough is None:
        yield "change      no way fits, on any number of such GPUs: a smaller batch or model may"
