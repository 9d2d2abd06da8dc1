"""Instruction and chat formats: detected by their columns, converted to one shape.

Whatever the format, a row becomes either a conversation (`messages`) or plain
text to complete (`prompt` and `completion`). Nothing is guessed about damage:
a row that cannot be read is a fault with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from welltuned.data.facts import layout_messages
from welltuned.data.layouts.message_parsing import (
    ChatMessage,
    Unreadable,
    as_text,
    as_turns,
    cell_as_list,
    is_learned,
    turns_in,
    with_system,
    with_tools,
)
from welltuned.data.layouts.turn_notes import TurnNotes
from welltuned.data.records import Role, map_columns
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message


@dataclass(frozen=True)
class Example:
    """A row: a conversation, or a prompt with its completion (None where no answer is given)."""

    messages: list[ChatMessage] | None = None
    prompt: str | None = None
    completion: str | None = None

    @property
    def text(self) -> str:
        """Everything that is said in it."""
        if self.messages is not None:
            return "\n".join(message["content"] for message in self.messages)
        return (self.prompt or "") + (self.completion or "")

    @property
    def answers(self) -> list[str]:
        """What a model shall learn to say."""
        if self.messages is None:
            return [self.completion or ""]
        return [said["content"] for said in self.messages if said["role"] == "assistant"]


# --- Formats -------------------------------------------------------------------


@dataclass(frozen=True)
class ConversationLayout:
    """Which columns of a file hold what: {role: column}."""

    format: Format
    columns: dict[str, str]
    joint: str = ""
    """What stands between prompt and completion."""

    def name(self, role: str) -> str:
        return self.columns.get(role, role)


Cells = dict[str, Any]
"""One row: {role: cell}."""


def _read_alpaca(cells: Cells, layout: ConversationLayout) -> Example:
    said = {role: as_text(cells.get(role), layout.name(role)) for role in _ALPACA_TEXTS}
    messages = with_system(said["system"], _history(cells.get("history"), layout))
    question = "\n".join(part for part in (said["instruction"], said["input"]) if part.strip())
    messages.append({"role": "user", "content": question})
    if "output" in cells:
        messages.append({"role": "assistant", "content": said["output"]})
    return Example(messages)


def _history(cell: Any, layout: ConversationLayout) -> list[ChatMessage]:
    """Earlier turns, as pairs of what the user and the assistant said."""
    column = layout.name("history")
    pairs: list[Any] = cell_as_list(cell, column) if cell not in (None, "") else []
    roles = ("user", "assistant")
    if any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in pairs):
        raise Unreadable(
            "data.history_not_pairs",
            "'{column}' holds something that is not a pair",
            'write \'{column}\' as [["question", "answer"], …]',
            column=column,
        )
    return [
        {"role": role, "content": as_text(said, column)}
        for pair in pairs
        for role, said in zip(roles, pair, strict=True)
    ]


def _read_turns(cells: Cells, layout: ConversationLayout) -> Example:
    role = "messages" if "messages" in cells else "conversations"
    messages = as_turns(cells[role], layout.name(role))
    messages = with_system(as_text(cells.get("system"), layout.name("system")), messages)
    return Example(with_tools(cells.get("tools"), messages, layout.name("tools")))


def _read_completion(cells: Cells, layout: ConversationLayout) -> Example:
    if turns_in(cells["prompt"]) or turns_in(cells.get("completion")):
        return Example(_side(cells, "prompt", layout) + _side(cells, "completion", layout))
    prompt = as_text(cells["prompt"], layout.name("prompt"))
    if "completion" not in cells:
        return Example(prompt=prompt)
    completion = as_text(cells["completion"], layout.name("completion"))
    touching = prompt and not prompt[-1].isspace() and not completion[:1].isspace()
    return Example(prompt=prompt + (layout.joint if touching else ""), completion=completion)


def _side(cells: Cells, role: str, layout: ConversationLayout) -> list[ChatMessage]:
    """The turns of a prompt or a completion; a mere text is one turn."""
    if role not in cells:
        return []
    if turns_in(cells[role]):
        return as_turns(cells[role], layout.name(role))
    said = as_text(cells[role], layout.name(role))
    return [{"role": "user" if role == "prompt" else "assistant", "content": said}]


def _read_text(cells: Cells, layout: ConversationLayout) -> Example:
    return Example(prompt="", completion=as_text(cells["text"], layout.name("text")))


_ALPACA_TEXTS = ("system", "instruction", "input", "output")
_SYSTEM = Role("system", ("system", "system_prompt"), required=False)
_TOOLS = Role("tools", ("tools", "functions"), required=False)
_KEPT = (
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
)


@dataclass(frozen=True)
class Format:
    """A way to write examples: its columns, and how one row is read."""

    title: str
    roles: tuple[Role, ...]
    read: Callable[[Cells, ConversationLayout], Example]
    answer: str = ""
    """The role of a column that may be missing where nothing is to be learned."""

    def missing(self, found: dict[str, str], answers: bool) -> list[str]:
        return [
            role.name
            for role in self.roles
            if role.required and role.name not in found and (answers or role.name != self.answer)
        ]

    def find(self, table: Table, given: dict[str, str]) -> dict[str, str]:
        """{role: column} in this format; what the user gave wins."""
        loose = [Role(role.name, role.candidates, required=False) for role in self.roles]
        names = {role.name for role in (*self.roles, *_KEPT)}
        known = {role: column for role, column in given.items() if role in names}
        return map_columns(table, [*loose, *_KEPT], known, Faults())


FORMATS = {
    "messages": Format(
        "OpenAI messages", (Role("messages", ("messages",)), _SYSTEM, _TOOLS), _read_turns
    ),
    "sharegpt": Format(
        "ShareGPT",
        (Role("conversations", ("conversations", "conversation")), _SYSTEM, _TOOLS),
        _read_turns,
    ),
    "alpaca": Format(
        "Alpaca",
        (
            Role("instruction", ("instruction",)),
            Role("input", ("input", "context"), required=False),
            Role("output", ("output", "response")),
            _SYSTEM,
            Role("history", ("history",), required=False),
        ),
        _read_alpaca,
        "output",
    ),
    "completion": Format(
        "prompt and completion",
        (
            Role("prompt", ("prompt", "question", "query")),
            Role("completion", ("completion", "answer", "response")),
        ),
        _read_completion,
        "completion",
    ),
    "text": Format(
        "plain text", (Role("text", ("text", "content", "story", "document")),), _read_text
    ),
}
"""The formats by their names in configs, in the order in which they are tried."""


# --- Recognition ---------------------------------------------------------------


def convert_conversations(
    table: Table,
    columns: dict[str, str],
    faults: Faults,
    format: str = "auto",
    answers: bool = True,
) -> Table:
    """A file of any known format as columns `text`, `messages`, `prompt` and `completion`.

    `columns` maps roles to columns and wins over names. Where nothing is to be learned
    (`answers` false), answers may be missing. The result has no rows when there were faults.
    """
    layout = _recognise(table, columns, faults, format, answers)
    if layout is None:
        return Table(table.source, {}, [])
    read, notes = _read(table, layout, answers, faults)
    if not read:
        return Table(table.source, {}, [])
    return _as_table(table, layout, read, notes)


def _recognise(
    table: Table, columns: dict[str, str], faults: Faults, format: str, answers: bool
) -> ConversationLayout | None:
    before = len(faults)
    names = {role.name for known in FORMATS.values() for role in known.roles}
    every = [Role(name, (), required=False) for name in (*sorted(names), "id", "group")]
    given = map_columns(table, every, columns, faults)
    if len(faults) > before:
        return None
    tried = list(FORMATS.values()) if format == "auto" else [FORMATS[format]]
    for known in tried:
        found = known.find(table, given)
        if set(given) <= set(found) and not known.missing(found, answers):
            return ConversationLayout(known, found, _joint(known, found, given))
    _explain(table, tried, given, faults)
    return None


def _joint(known: Format, found: dict[str, str], given: dict[str, str]) -> str:
    """A prompt and a completion touch, as their names say; a question and an answer do not."""
    if known is not FORMATS["completion"] or "prompt" in given or "completion" in given:
        return ""
    return "" if all(found.get(role, role).casefold() == role for role in _SIDES) else "\n"


_SIDES = ("prompt", "completion")


def _explain(table: Table, tried: Sequence[Format], given: dict[str, str], faults: Faults) -> None:
    known = "; ".join(
        f"{format.title} ({', '.join(role.name for role in format.roles if role.required)})"
        for format in tried
    )
    mapped = f" with {', '.join(given)} mapped" if given else ""
    faults.add(
        "data.format_not_recognised",
        "no known format has the columns {columns}{mapped}",
        Place(table.source, 1),
        "use the columns of one of: {known}; or name yours with data.columns.ROLE=NAME",
        columns=", ".join(table.columns),
        mapped=mapped,
        known=known,
    )


# --- Reading -------------------------------------------------------------------


def _read(
    table: Table, layout: ConversationLayout, answers: bool, faults: Faults
) -> tuple[list[tuple[int, Example]], TurnNotes]:
    """The examples with their rows; none when there were faults."""
    before, notes = len(faults), TurnNotes()
    read: list[tuple[int, Example]] = []
    for index, cells in enumerate(_rows(table, layout)):
        try:
            example = layout.format.read(cells, layout)
            _check(example, answers)
        except Unreadable as bad:
            faults.count(bad.fault.at(table.place(index)))
            continue
        notes.observe(cells.values(), example.messages or ())
        if answers and _is_unanswered(example):
            notes.empty.append(table.lines[index])
        elif answers and example.messages is not None and not _has_weight(example.messages):
            notes.weightless.append(table.lines[index])
        else:
            read.append((index, example))
    if not read and len(faults) == before:
        faults.add(
            "data.no_answers", "no example has an answer", table.place(0), "fill in the answers"
        )
    return (read if len(faults) == before else []), notes


def _rows(table: Table, layout: ConversationLayout) -> Iterator[Cells]:
    for index in range(len(table)):
        yield {role: table.columns[column][index] for role, column in layout.columns.items()}


def _check(example: Example, answers: bool) -> None:
    if answers and not example.answers:
        raise Unreadable(
            "data.no_assistant_turn",
            "no turn is from the assistant",
            "add the answer, or remove the row",
        )


def _is_unanswered(example: Example) -> bool:
    """Whether an answer is empty. Rows that are empty altogether are for others to count."""
    return bool(example.text.strip()) and not all(answer.strip() for answer in example.answers)


def _has_weight(messages: Sequence[ChatMessage]) -> bool:
    """Whether an answer is learned."""
    return any(turn["role"] == "assistant" and is_learned(turn) for turn in messages)


def _as_table(
    table: Table, layout: ConversationLayout, read: Sequence[tuple[int, Example]], notes: TurnNotes
) -> Table:
    columns: dict[str, list[Any]] = {
        "text": [example.text for _, example in read],
        "messages": [example.messages for _, example in read],
        "prompt": [example.prompt for _, example in read],
        "completion": [example.completion for _, example in read],
    }
    for role in _KEPT:
        if role.name in layout.columns:
            cells = table.columns[layout.columns[role.name]]
            columns[role.name] = [cells[index] for index, _ in read]
    lines = [table.lines[index] for index, _ in read]
    said = (*table.notes, *_messages(table, layout), *notes.messages(table.source))
    return Table(table.source, columns, lines, said, mapped=True)


def _messages(table: Table, layout: ConversationLayout) -> Iterator[Message]:
    yield from layout_messages(table, layout.format.title, layout.columns)
    if layout.joint:
        yield message(
            "data.line_break_between",
            "{source}: a line break is put between {columns}.",
            source=table.source,
            columns=" and ".join(layout.name(role) for role in _SIDES),
        )
