"""What `welltuned migrate` prints: what became of each key, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from welltuned.drafts.commented import flow_text
from welltuned.drafts.migration.findings import KeyFinding, Migration, Outcome

_TITLES: dict[Outcome, str] = {
    "carried": "Carried over", "nothing": "Nothing to carry over", "left": "Not carried over"
}  # fmt: skip


def show_migration(migration: Migration, target: str) -> RenderableType:
    """A table for each outcome, and what to do next."""
    parts: list[RenderableType] = [Text(_summary(migration))]
    for outcome in _TITLES:
        found = [one for one in migration.findings if one.outcome == outcome]
        if found:
            parts += [Text(f"\n{_TITLES[outcome]}", style="bold"), _table(found, outcome)]
    parts.append(Text(f"\nWritten: {target}"))
    if not migration.missing:
        parts.append(Text(f"Next: welltuned plan {target}"))
    return Group(*parts)


def _summary(migration: Migration) -> str:
    counts = {outcome: migration.count(outcome) for outcome in _TITLES}
    return (
        f"{migration.file} is of {migration.library}: {counts['carried']} keys carried over, "
        f"{counts['left']} not, {counts['nothing']} that need not be"
    )


def _table(findings: list[KeyFinding], outcome: Outcome) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for _ in range(4 if outcome == "carried" else 3):
        table.add_column(overflow="fold")
    for one in findings:
        table.add_row(*map(Text, _cells(one, outcome)))
    return table


def _cells(one: KeyFinding, outcome: Outcome) -> Iterator[str]:
    yield f"{one.place.source}:{one.place.line}" if one.place and one.place.line else "default"
    yield one.key if one.value is None else f"{one.key}: {flow_text(one.value)}"
    if outcome == "carried":
        yield f"{one.to}: {flow_text(one.ours)}"
    yield one.note
