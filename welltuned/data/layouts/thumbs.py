"""Thumbs: answers that were each called good or bad by themselves, as records of one response.

A row has a prompt, its answer and a label: true for thumbs up, false for thumbs down. Preference
pairs will do, too: an answer that was preferred is a good one, the other a bad one. What says
neither is a fault with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from welltuned.data.cells import as_flag
from welltuned.data.facts import some_lines
from welltuned.data.layouts.preference_rows import ROLES
from welltuned.data.layouts.preferences import convert_preferences
from welltuned.data.records import Role, add_missing_column, map_columns
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.messages import Message, message

UP, DOWN = 1.0, 0.0
"""What stands for either in the role `score`."""

_SIDES = {"chosen", "rejected"}
_LABEL = Role("label", ("label", "thumb", "thumbs_up", "desirable", "kto_tag"), required=False)
_ROLES = (*(role for role in ROLES["ratings"] if role.name not in ("score", "text")), _LABEL)


def convert_thumbs(table: Table, columns: dict[str, str], faults: Faults) -> Table:
    """A file of thumbs, or of pairs, as columns for `preferences.RECORD_ROLES`.

    `columns` maps roles to columns and wins over names. No rows when there were faults.
    """
    if _holds_pairs(table, columns):
        before = len(faults)
        pairs = convert_preferences(table, columns, faults)
        return pairs if len(faults) > before else _one_by_one(pairs)
    before = len(faults)
    found = map_columns(table, _ROLES, columns, faults)
    if "label" not in found:
        add_missing_column(table, "label", faults)
    if len(faults) > before:
        return Table(table.source, {}, [])
    label = found["label"]
    scores = [_score(table, row, label, faults) for row in range(len(table))]
    if len(faults) > before:
        return Table(table.source, {}, [])
    scored = replace(table, columns={**table.columns, label: scores})
    others = {role: column for role, column in columns.items() if role != "label"}
    return _called_thumbs(convert_preferences(scored, {**others, "score": label}, faults))


def _called_thumbs(ratings: Table) -> Table:
    """The same, said to be read as what it is: ratings of two values."""
    notes = tuple(
        {**note, "values": {**note["values"], "title": "thumbs"}}
        if "title" in note["values"]
        else note
        for note in ratings.notes
    )
    return replace(ratings, notes=notes)


def _holds_pairs(table: Table, columns: dict[str, str]) -> bool:
    """Whether its rows compare answers, by what its columns are called."""
    known = {role.name for role in ROLES["preferences"]}
    asked = {role: column for role, column in columns.items() if role in known}
    found = map_columns(table, ROLES["preferences"], asked, Faults())
    return found.keys() >= _SIDES


def _score(table: Table, row: int, column: str, faults: Faults) -> float | None:
    cell = table.columns[column][row]
    flag = as_flag(cell)
    if flag is None:
        faults.add_counted(
            "data.thumb_unclear",
            "the label {cell!r} is neither true nor false",
            table.place(row),
            "write true for a good answer and false for a bad one in '{column}'",
            cell=str(cell)[:60],
            column=column,
        )
        return None
    return UP if flag else DOWN


# --- From pairs ----------------------------------------------------------------


def _one_by_one(pairs: Table) -> Table:
    """Each compared answer by itself; one that was both preferred and rejected says nothing."""
    roles = ["text", "prompt", "messages", "responses", "score", "id", "group"]
    columns: dict[str, list[Any]] = {role: [] for role in roles}
    lines: list[int] = []
    contradicted: list[int] = []
    for row, line in enumerate(pairs.lines):
        told = pairs.columns["pairs"][row]
        wins, loses = ({pair[side] for pair in told} for side in (0, 1))
        for number, response in enumerate(pairs.columns["responses"][row]):
            if number in wins and number in loses:
                contradicted.append(line)
                continue
            cells = _cells(pairs, row, number, response, UP if number in wins else DOWN)
            for role in roles:
                columns[role].append(cells[role])
            lines.append(line)
    notes = (*pairs.notes, *_notes(pairs, columns["score"], contradicted))
    return replace(pairs, columns=columns, lines=lines, notes=notes)


def _cells(pairs: Table, row: int, number: int, response: str, score: float) -> dict[str, Any]:
    given = {role: cells[row] for role, cells in pairs.columns.items()}
    return {
        **given,
        "text": "\n".join(filter(None, (given["prompt"], response))),
        "responses": [response],
        "score": score,
        "id": f"{given.get('id') or f'{pairs.source}:{pairs.lines[row]}'}#{number + 1}",
        # Else one prompt could be in two splits.
        "group": given.get("group") or given["prompt"],
    }


def _notes(pairs: Table, scores: list[float], contradicted: list[int]) -> Iterator[Message]:
    yield message(
        "data.pairs_read_as_thumbs",
        "{source}: pairs read as single answers: {up:,} preferred ones as good, {down:,} rejected "
        "ones as bad.",
        source=pairs.source,
        up=scores.count(UP),
        down=scores.count(DOWN),
    )
    if contradicted:
        yield message(
            "data.thumbs_contradicted",
            "{source}: answers preferred in one pair and rejected in another, left out: "
            "{number:,} (line {lines}).",
            source=pairs.source,
            number=len(contradicted),
            lines=some_lines(contradicted),
        )
    if any(pair.margin for told in pairs.columns["pairs"] for pair in told):
        yield message(
            "data.margins_of_thumbs",
            "{source}: margins are not read: a single answer is ahead of nothing.",
            source=pairs.source,
        )
