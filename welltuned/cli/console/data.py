"""What `welltuned data` prints: splits and labels in tables, then a few examples."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.data.facts import DataFacts
from welltuned.data.table import SPLITS
from welltuned.schema.messages import render_message
from welltuned.training.preparation.data_summary import DataSummary, ShownExample, Token


def show_data(summary: DataSummary) -> RenderableType:
    """Everything as tables and text for a terminal."""
    facts = summary.facts
    parts: list[RenderableType] = [_splits(facts)]
    if "counts" in facts.task:
        parts.append(_labels(facts))
    if "encoding" in facts.task:
        parts.append(_counted(facts))
    parts += [Text(f"· {render_message(said)}") for said in facts.said]
    columns = ", ".join(f"{role} from '{column}'" for role, column in facts.columns.items())
    parts.append(Text(f"· Columns: {columns}."))
    if facts.unused_columns:
        parts.append(Text(f"· Not used: {', '.join(facts.unused_columns)}."))
    return Group(*parts, *_examples(summary))


def _splits(facts: DataFacts) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    tokens, windows = facts.task.get("tokens"), facts.task.get("windows")
    for name in ("split", "source"):
        table.add_column(name)
    counted = ["tokens mean", "longest", "cut short"] if tokens else []
    counted += ["in windows", "most windows"] if windows else []
    for name in ("examples", "empty", "repeated", "conflicting", *counted):
        table.add_column(name, justify="right")
    for split in SPLITS:
        part = facts.splits[split]
        numbers = (part.rows, part.empty, part.repeats, part.conflicts)
        row: list[str | Text] = [split, Text(part.source), *(f"{number:,}" for number in numbers)]
        if tokens:
            row += [
                f"{tokens[split]['mean']:.1f}",
                f"{tokens[split]['greatest']:,}",
                f"{facts.task['truncated'][split]:,}",
            ]
        if windows:
            row += [f"{windows[split]['texts']:,}", f"{windows[split]['greatest']:,}"]
        table.add_row(*row)
    return table


def _labels(facts: DataFacts) -> Table:
    counts = facts.task["counts"]
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("label")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for name in counts["train"]:
        table.add_row(Text(name), *(f"{counts[split][name]:,}" for split in SPLITS))
    return table


def _counted(facts: DataFacts) -> Table:
    """What was counted by splits while texts were encoded, such as the nodes of graphs."""
    counted = facts.task["encoding"]
    splits = [split for split in SPLITS if split in counted]
    table = Table(box=None, padding=(0, 2), header_style="bold")
    table.add_column("encoding")
    for split in splits:
        table.add_column(split, justify="right")
    for name in counted[splits[0]]:
        numbers = (f"{counted[split][name]:,}" for split in splits)
        table.add_row(name.replace("_", " "), *numbers)
    return table


# --- Examples ------------------------------------------------------------------


def _examples(summary: DataSummary) -> Iterator[RenderableType]:
    for number, example in enumerate(summary.examples, 1):
        yield _heading(number, example, summary.target_name)
        if summary.is_encoded:
            yield from map(_row, example.rows)
        else:
            yield from map(Text, example.lines)
    if not summary.is_encoded:
        yield Text("\nAdd model=NAME to see tokens.", style="dim")
    elif summary.learns_tokens:
        yield Text("\nGreen: what is learned.", style="dim")


def _heading(number: int, example: ShownExample, target_name: str) -> Text:
    text = f"\nexample {number}  {example.id}  {target_name}: {example.target}"
    return Text(text, style="bold")


def _row(tokens: tuple[Token, ...]) -> Text:
    """Every token of a row with its id; special ones and those that are learned stand out."""
    line = Text()
    for token in tokens:
        style = "green" if token.is_learned else "cyan" if token.is_special else ""
        line.append(token.text, style=style)
        line.append(f"·{token.number} ", style="dim")
    return line
