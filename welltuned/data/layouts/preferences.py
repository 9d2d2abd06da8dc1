"""Preference data: comparisons, rankings and ratings converted to one shape.

Whatever the file looks like, a record is a prompt with its responses. Where they were
compared, all responses to one prompt stand in one record, each once, with the pairs
of which one was preferred; where they were rated, a record holds one response and its
score. Nothing is guessed about damage: a row that cannot be read is a fault with its
line; a pair that teaches nothing is left out and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple

from welltuned.data.decimals import settle_numbers
from welltuned.data.facts import layout_messages, some_lines
from welltuned.data.layouts.message_parsing import Unreadable
from welltuned.data.layouts.preference_rows import (
    ROLES,
    Judgement,
    Kind,
    PreferenceLayout,
    Prompt,
    prompt_text,
    read_judgement,
)
from welltuned.data.layouts.repeated_prompts import settle_prompts
from welltuned.data.readings import Reading
from welltuned.data.records import Role, add_missing_column, map_columns
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

RECORD_ROLES = (
    Role("text", ("text",), is_input=True),
    Role("prompt", ("prompt",), required=False),
    Role("messages", ("messages",), required=False),
    Role("responses", ("responses",), required=False),
    Role("pairs", ("pairs",), required=False, is_judgement=True),
    Role("score", ("score",), required=False, is_target=True),
    Role("id", ("id",), required=False),
    Role("group", ("group",), required=False),
)
"""The roles of converted files. `text` is what makes two records duplicates: the prompt where
its responses were compared, since a prompt in two splits would be a leak."""


class PreferencePair(NamedTuple):
    """Of a record's responses, `winner` was preferred to `loser`."""

    winner: int
    loser: int
    margin: float
    """By how much more the winner has to score; 0 where nothing is said of it."""
    weight: float
    """All pairs of one row of the file weigh 1 together."""
    line: int


# --- Recognition ---------------------------------------------------------------


def convert_preferences(
    table: Table, columns: dict[str, str], faults: Faults, answers: bool = True
) -> Table:
    """A file of judged responses as columns for `RECORD_ROLES`.

    `columns` maps roles to columns and wins over names. Where nothing is to be learned
    (`answers` false), judgements may be missing. No rows when there were faults.
    """
    nothing = Table(table.source, {}, [])
    layout = _recognise(table, columns, faults, answers)
    if layout is None:
        return nothing
    before, notes = len(faults), _Notes()
    table, readings = _settled(table, layout, faults)
    if len(faults) > before:
        return nothing
    read = _read(table, layout, notes, faults)
    if not read and len(faults) == before:
        _add_nothing_to_learn(table, layout, faults)
    if len(faults) > before:
        return nothing
    alone = layout.kind == "ratings" or table.questions
    records = _one_by_one(read) if alone else _by_prompt(table, read, notes)
    return replace(_as_table(table, layout, records, notes), readings=(*table.readings, *readings))


def _settled(table: Table, layout: PreferenceLayout, faults: Faults) -> tuple[Table, list[Reading]]:
    """The table with its numbers as numbers and its prompts apart, and what is said of it."""
    table, readings = settle_prompts(table, layout, faults)
    for column in (layout.columns[role] for role in ("score", "margin") if role in layout.columns):
        found = settle_numbers(table, column, faults)
        if found is not None:
            table = replace(table, columns={**table.columns, column: found[0]})
            readings += found[1]
    told = {reading.question for reading in table.settled}
    return table, [reading for reading in readings if reading.question not in told]


def _add_nothing_to_learn(table: Table, layout: PreferenceLayout, faults: Faults) -> None:
    if layout.kind == "ratings":
        faults.add(
            "data.no_responses", "no row has a response", table.place(0), "check data.columns"
        )
    else:
        faults.add(
            "data.no_pairs",
            "no row has two different responses",
            table.place(0),
            "check data.columns",
        )


def _recognise(
    table: Table, columns: dict[str, str], faults: Faults, answers: bool
) -> PreferenceLayout | None:
    before = len(faults)
    every = {role.name: role for roles in ROLES.values() for role in roles}
    found = map_columns(table, list(every.values()), columns, faults)
    if len(faults) > before:
        return None
    kind = _kind(found, answers)
    if kind is None:
        faults.add(
            "data.preferences_not_recognised",
            "no preferences, rankings or ratings are recognised in the columns {columns}",
            Place(table.source, 1),
            "use the columns prompt, chosen and rejected; or prompt and responses, best first; "
            "or prompt, response and score; or text and score; "
            "or name yours with data.columns.ROLE=NAME",
            columns=", ".join(table.columns),
        )
        return None
    missing = [role for role in _needed(kind, found) if role not in found]
    for role in missing:
        add_missing_column(table, role, faults)
    known = {role.name for role in ROLES[kind]}
    layout = PreferenceLayout(
        kind, {role: column for role, column in found.items() if role in known}
    )
    return None if missing else layout


def _kind(found: dict[str, str], answers: bool) -> Kind | None:
    if "chosen" in found or "rejected" in found:
        return "preferences"
    if "responses" in found:
        return "rankings"
    return "ratings" if "score" in found or not answers else None


def _needed(kind: Kind, found: dict[str, str]) -> tuple[str, ...]:
    """Roles without which a file of this kind cannot be read."""
    if kind == "preferences":
        return "chosen", "rejected"  # their prompt may be their own first turns
    if "messages" in found:
        return ("responses",) if kind == "rankings" else ()
    if kind == "rankings":
        return "prompt", "responses"
    by_itself = "text" in found and "response" not in found
    return ("text",) if by_itself else ("prompt", "response")


# --- Rows ----------------------------------------------------------------------

_Row = tuple[Judgement, int]
"""A judgement, and the index of its row."""


@dataclass
class _Notes:
    """What is worth knowing of the rows: their lines."""

    empty: list[int] = field(default_factory=list)
    same: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    contradicted: list[int] = field(default_factory=list)

    def messages(self, source: str) -> Iterator[Message]:
        """A sentence for each that was met."""
        if self.empty:
            yield message(
                "data.responses_empty",
                "{source}: rows with an empty response, left out: {number:,} (line {lines}).",
                **_numbered(source, self.empty),
            )
        if self.same:
            yield message(
                "data.responses_same",
                "{source}: rows whose responses are the same, left out: {number:,} (line {lines}).",
                **_numbered(source, self.same),
            )
        if self.repeated:
            yield message(
                "data.pairs_repeated",
                "{source}: rows that repeat a pair: {number:,} (line {lines}).",
                **_numbered(source, self.repeated),
            )
        if self.contradicted:
            yield message(
                "data.pairs_contradicted",
                "{source}: rows that contradict an earlier one, so that no model gets both right: "
                "{number:,} (line {lines}).",
                **_numbered(source, self.contradicted),
            )


def _numbered(source: str, lines: Sequence[int]) -> dict[str, object]:
    return {"source": source, "number": len(lines), "lines": some_lines(lines)}


def _read(table: Table, layout: PreferenceLayout, notes: _Notes, faults: Faults) -> list[_Row]:
    """The rows that something can be learned from."""
    read: list[_Row] = []
    for index, line in enumerate(table.lines):
        cells = {role: table.columns[column][index] for role, column in layout.columns.items()}
        try:
            judgement = read_judgement(cells, layout)
        except Unreadable as bad:
            faults.count(bad.fault.at(table.place(index)))
            continue
        said = [response.strip() for response in judgement.responses]
        if table.questions:
            read.append((judgement, index))
        elif not all(said):
            notes.empty.append(line)
        elif layout.kind != "ratings" and len(set(said)) < 2:
            notes.same.append(line)
        else:
            read.append((judgement, index))
    return read


# --- Records -------------------------------------------------------------------


@dataclass
class _Record:
    """A prompt and its responses, and the row where it was met first."""

    prompt: Prompt | None
    row: int
    responses: list[str] = field(default_factory=list)
    pairs: list[PreferencePair] = field(default_factory=list)
    score: float | None = None

    def number(self, response: str) -> int:
        """The place of a response among those there are, or its new one."""
        if response not in self.responses:
            self.responses.append(response)
        return self.responses.index(response)


def _one_by_one(read: Sequence[_Row]) -> list[_Record]:
    return [_Record(judged.prompt, row, judged.responses, [], judged.score) for judged, row in read]


def _by_prompt(table: Table, read: Sequence[_Row], notes: _Notes) -> list[_Record]:
    """All pairs of one prompt together (Ouyang et al. 2022, arXiv 2203.02155)."""
    records: dict[str, _Record] = {}
    for judged, row in read:
        key = json.dumps(judged.prompt, ensure_ascii=False)
        record, line = records.setdefault(key, _Record(judged.prompt, row)), table.lines[row]
        better = [
            (record.number(first), record.number(second))
            for first, second in combinations(judged.responses, 2)
            if first.strip() != second.strip()
        ]
        known = {(pair.winner, pair.loser) for pair in record.pairs}
        if known & set(better):
            notes.repeated.append(line)
        if known & {(loser, winner) for winner, loser in better}:
            notes.contradicted.append(line)
        weight = 1 / len(better)
        record.pairs += [PreferencePair(*pair, judged.margin, weight, line) for pair in better]
    return list(records.values())


def _as_table(
    table: Table, layout: PreferenceLayout, records: Sequence[_Record], notes: _Notes
) -> Table:
    prompts = [None if r.prompt is None else prompt_text(r.prompt) for r in records]
    columns: dict[str, list[Any]] = {
        "text": [prompt or "" for prompt in prompts],
        "prompt": prompts,
        "messages": [None if isinstance(r.prompt, str) else r.prompt for r in records],
        "responses": [record.responses for record in records],
    }
    for role in ("id", "group"):
        if role in layout.columns:
            cells = table.columns[layout.columns[role]]
            columns[role] = [cells[record.row] for record in records]
    if layout.kind != "ratings":
        columns["pairs"] = [record.pairs for record in records]
    else:
        pairs = zip(prompts, records, strict=True)
        columns["text"] = ["\n".join(filter(None, (p, *r.responses))) for p, r in pairs]
        if any(prompts):
            columns.setdefault("group", prompts)  # else one prompt could be in two splits
        if "score" in layout.columns:
            columns["score"] = [record.score for record in records]
    if table.questions:
        columns["text"] = [_question(r, p) for r, p in zip(records, prompts, strict=True)]
    said = (*table.notes, *_messages(table, layout, records), *notes.messages(table.source))
    lines = [table.lines[record.row] for record in records]
    return Table(table.source, columns, lines, said, mapped=True)


def _question(record: _Record, prompt: str | None) -> str:
    """All that is to be judged; nothing where a response is empty, which is no question."""
    whole = all(response.strip() for response in record.responses)
    return "\n".join(filter(None, (prompt, *record.responses))) if whole else ""


def _messages(
    table: Table, layout: PreferenceLayout, records: Sequence[_Record]
) -> Iterator[Message]:
    yield from layout_messages(table, layout.kind, layout.columns)
    if layout.kind != "ratings":
        yield message(
            "data.pairs_found",
            "{source}: {pairs:,} pairs of responses to {prompts:,} prompts.",
            source=table.source,
            pairs=sum(len(record.pairs) for record in records),
            prompts=len(records),
        )
