"""A layer probe as a table for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.runs.results_schema import ProbeResult

_BAR = 32


def render_layer_probe(found: ProbeResult) -> RenderableType:
    """A table with a bar a block, and the hint."""
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("read off")
    table.add_column(found["metric"], justify="right")
    table.add_column("above chance")
    scores, hint, texts = found["before"], found["hint"], found["texts"]
    floor = found["chance"]
    rows = list(zip(found["regions"], scores, found["behind"], strict=True))
    for region, score, behind in reversed(rows):
        length = round(_BAR * max(0.0, score - floor) / max(max(scores) - floor, 1e-9))
        table.add_row(region, f"{score:.3f}", Text("█" * length, "green" if behind <= 1 else ""))
    number = hint["num_blocks"]
    table.add_row("chance", f"{floor:.3f}", "", style="dim")
    told = f"Linear maps fitted on {texts['fitted']:,} texts and scored on {texts['scored']:,}"
    return Group(
        table,
        Text(f"\n{told}. Green: at most one standard error behind the best.", style="dim"),
        Text(f"\nWorth unfreezing: the top {number} of {len(scores) - 1} blocks."),
        Text(f"{hint['why'][0].upper()}{hint['why'][1:]}."),
        Text(f"  strategy={{type: partial, num_blocks: {number}}}"),
        Text(f"  strategy={{type: gradual, num_blocks: {number}}}"),
    )
