"""Prompts within answers: transcripts that hold both, and answers that begin with their prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from welltuned.data.facts import some_lines
from welltuned.data.layouts.message_parsing import ChatMessage
from welltuned.data.layouts.preference_rows import PreferenceLayout
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.messages import Message, message

PROMPT = question(
    "prompts in answers",
    asks="Do answers hold the prompt, too?",
    evidence="Where there is no column of prompts and every answer is a transcript such as "
    "`Human: … Assistant: …`, the beginning that both have in common is the prompt, up to the last "
    "turn of the assistant. Where all answers begin with the prompt of their row, it is taken off "
    "once; where only most do, it is asked.",
    key="data.prompt_in_answers",
)
_ROLES = {"human": "user", "user": "user", "assistant": "assistant", "system": "system"}
_NAMES = "|".join(name.title() for name in _ROLES)
_BLANK_LINE = re.compile(rf"(?:\A\s*|\n[ \t]*\n\s*)({_NAMES}):")
_LINE = re.compile(rf"(?:\A\s*|\n\s*)({_NAMES}):")


def settle_prompts(
    table: Table, layout: PreferenceLayout, faults: Faults
) -> tuple[Table, list[Reading]]:
    """The table with prompts apart from answers, and what is said of it."""
    columns = layout.columns
    answers = [columns[role] for role in ("chosen", "rejected", "response") if role in columns]
    texts = [[table.columns[name][row] for name in answers] for row in range(len(table))]
    if table.prompt_in_answers == "keep" or not answers or not _are_texts(texts):
        return table, []
    if "prompt" in columns:
        return _without_prompt(table, columns["prompt"], answers, faults)
    if {"chosen", "rejected"} <= columns.keys() and "messages" not in columns:
        return _as_turns(table, answers)
    return table, []


def _are_texts(rows: Sequence[Sequence[object]]) -> bool:
    return all(cell is None or isinstance(cell, str) for row in rows for cell in row)


# --- Transcripts ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Turn:
    role: str
    content: str
    start: int
    """Where its content starts in the transcript."""


def _as_turns(table: Table, columns: Sequence[str]) -> tuple[Table, list[Reading]]:
    """Transcripts as conversations that differ in their last turn."""
    rows = list(zip(*(table.columns[name] for name in columns), strict=True))
    filled = [text for row in rows for text in row if text]
    marks = next((marks for marks in (_BLANK_LINE, _LINE) if _are_transcripts(filled, marks)), None)
    if marks is None:
        return table, []
    parted = [_parted(row, marks) for row in rows]
    several = [table.lines[i] for i, row in enumerate(rows) if _go_on(row, marks)]
    notes = (*table.notes, *_notes(table.source, several))
    cells = {name: [row[i] for row in parted] for i, name in enumerate(columns)}
    said = message(
        "data.read_as_transcripts",
        "{source}: {columns} are read as transcripts of turns, whose common beginning is the "
        "prompt; data.columns.prompt=NAME reads prompts from a column of their own.",
        source=table.source,
        columns=" and ".join(f"'{name}'" for name in columns),
    )
    readings = [read_as(PROMPT, "transcripts", said)]
    return replace(table, columns={**table.columns, **cells}, notes=notes), readings


def _notes(source: str, lines: Sequence[int]) -> Iterator[Message]:
    if lines:
        yield message(
            "data.answers_of_several_turns",
            "{source}: transcripts that part before their last turn, so that an answer holds "
            "several turns: {number:,} (line {lines}).",
            source=source,
            number=len(lines),
            lines=some_lines(lines),
        )


def _go_on(row: Sequence[str | None], marks: re.Pattern[str]) -> bool:
    """Whether an answer holds turns after its first."""
    told = [_turns(text, marks) for text in row if text]
    shared = _shared(told)
    return shared > 0 and any(len(turns) > shared + 1 for turns in told)


def _are_transcripts(texts: Sequence[str], marks: re.Pattern[str]) -> bool:
    """Whether each begins with a turn that is not the assistant's, and has one that is."""
    found = [[turn.role for turn in _turns(text, marks)] for text in texts]
    return bool(found) and all(
        roles and roles[0] != "assistant" and "assistant" in roles for roles in found
    )


def _turns(text: str, marks: re.Pattern[str]) -> list[_Turn]:
    found = list(marks.finditer(text))
    if not found or found[0].start() != 0:
        return []
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    return [
        _Turn(_ROLES[mark[1].lower()], text[mark.end() : end].strip(), mark.end())
        for mark, end in zip(found, ends, strict=True)
    ]


def _parted(row: Sequence[str | None], marks: re.Pattern[str]) -> list[list[ChatMessage] | None]:
    """The cells of a row as conversations: the turns they share, and all that follows."""
    told = [_turns(text, marks) if text else [] for text in row]
    shared = _shared([turns for turns in told if turns])
    return [
        _conversation(turns, shared, text) if text else None
        for turns, text in zip(told, row, strict=True)
    ]


def _shared(told: Sequence[Sequence[_Turn]]) -> int:
    """How many turns begin all transcripts, up to one of the assistant."""
    shortest = min((len(turns) for turns in told), default=1)
    same = 0
    while same < shortest - 1 and len({(t[same].role, t[same].content) for t in told}) == 1:
        same += 1
    while same and any(turns[same].role != "assistant" for turns in told):
        same -= 1
    return same


def _conversation(turns: Sequence[_Turn], shared: int, text: str) -> list[ChatMessage]:
    before: list[ChatMessage] = [{"role": t.role, "content": t.content} for t in turns[:shared]]
    if not shared:  # the turns show by themselves that they answer different prompts
        return [{"role": turn.role, "content": turn.content} for turn in turns]
    return [*before, {"role": "assistant", "content": text[turns[shared].start :].strip()}]


# --- Prompts that answers repeat -----------------------------------------------------


def _without_prompt(
    table: Table, prompt: str, answers: Sequence[str], faults: Faults
) -> tuple[Table, list[Reading]]:
    """Answers without the prompt of their row at their beginning, where they have it."""
    prompts = table.columns[prompt]
    if not _are_texts([prompts]):
        return table, []
    begins = [
        all(_rest(table.columns[name][row], prompts[row]) for name in answers)
        for row in range(len(table))
    ]
    repeats = sum(begins)
    if table.prompt_in_answers == "auto" and repeats < len(table):
        if repeats > len(table) / 2:
            _ask(table, begins.index(False), repeats, faults)
        return table, []
    cells = {
        name: [
            _rest(cell, start) or cell
            for cell, start in zip(table.columns[name], prompts, strict=True)
        ]
        for name in answers
    }
    said = message(
        "data.prompt_taken_off",
        "{source}: every answer begins with its prompt, which is taken off once; "
        "data.prompt_in_answers=keep leaves it there.",
        source=table.source,
    )
    is_said = table.prompt_in_answers == "auto"
    found = replace(table, columns={**table.columns, **cells})
    return found, [read_as(PROMPT, "repeated", said)] if is_said else []


def _rest(answer: str | None, prompt: str | None) -> str:
    """What follows the prompt in an answer that begins with it; empty where none does."""
    start = (prompt or "").strip()
    begun = (answer or "").lstrip()
    return begun[len(start) :].strip() if start and begun.startswith(start) else ""


def _ask(table: Table, odd: int, repeats: int, faults: Faults) -> None:
    faults.add(
        "data.prompt_in_answers_unclear",
        "{repeats:,} of {rows:,} rows have answers that begin with the prompt; this one does not",
        table.place(odd),
        "data.prompt_in_answers=remove takes the prompt off where it is, "
        "data.prompt_in_answers=keep leaves it there",
        repeats=repeats,
        rows=len(table),
    )
