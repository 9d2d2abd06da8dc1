"""Parsing table cells as text or as chat turns, in whatever form files write them.

A cell that cannot be read raises `Unreadable`, which says how to mend it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from welltuned.errors import Fault

ChatMessage = dict[str, str]
"""One turn: {"role": system, user, assistant or tool, "content": text}, and where there are any:

    weight        "0", where its file says that it is not learned
    tool_calls    the tools that an answer calls, as JSON in OpenAI's form; `content` has them as
                  text too, for templates that read no calls, and `words` what is said beside them
    name, tool_call_id    of a tool's turn: which tool answers, and which call
    tools         of the first turn: the tools that may be called, as JSON
"""

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
}
READ_KEYS = {"role", "from", "content", "value", "tool_calls", "function_call", "weight", "train"}
"""The keys of a turn that are read; others are told of."""
RESULT_KEYS = {"name", "tool_call_id"}
"""Keys that are read of a tool's turn besides."""


class Unreadable(Exception):
    """A row that cannot be read: a fault whose place the reader of the file knows."""

    def __init__(self, code: str, what: str, remedy: str, /, **values: object) -> None:
        self.fault = Fault(code, what, None, remedy, **values)
        super().__init__(str(self.fault))


# --- Cells ---------------------------------------------------------------------


def as_text(cell: object, column: str) -> str:
    """A cell of text or a number as text; nothing is empty text."""
    if cell is None or cell != cell:  # not a number: nothing, in tables
        return ""
    if isinstance(cell, (str, int, float)):
        return str(cell)
    raise Unreadable(
        "data.cell_not_text",
        "'{column}' must be text, not {found}",
        "write text in '{column}', or map another column with data.columns",
        column=column,
        found=_kind(cell),
    )


def cell_as_list(cell: object, column: str) -> list[object]:
    """A nested cell; tables of text such as CSV hold it as JSON."""
    found = _from_json(cell) if isinstance(cell, str) else cell
    if isinstance(found, (list, tuple)):
        return list(found)
    raise Unreadable(
        "data.cell_not_a_list",
        "'{column}' must be a list, not {found}",
        'write \'{column}\' as [{{"role": "user", "content": "…"}}, …]',
        column=column,
        found=_kind(cell),
    )


def _from_json(text: str) -> Any:
    """The value that a text spells, or the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _kind(cell: Any) -> str:
    """What a cell holds, in JSON's words."""
    names = {str: "text", dict: "an object", list: "a list", bool: "true or false"}
    return "null" if cell is None else names.get(type(cell), type(cell).__name__)


def turns_in(cell: object) -> list[dict[str, object]]:
    """The turns of a cell that may as well be text; none when it is."""
    found = _from_json(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else cell
    if not isinstance(found, (list, tuple)):
        return []
    return list(found) if all(isinstance(turn, dict) for turn in found) else []


# --- Turns ---------------------------------------------------------------------


def as_turns(cell: object, column: str) -> list[ChatMessage]:
    """A conversation, whatever it calls its roles and contents."""
    return [_turn(turn, column) for turn in cell_as_list(cell, column)]


def _turn(turn: Any, column: str) -> ChatMessage:
    if not isinstance(turn, dict):
        raise Unreadable(
            "data.turn_not_an_object",
            "a turn of '{column}' must be an object, not {found}",
            'write each turn as {{"role": "user", "content": "…"}}',
            column=column,
            found=_kind(turn),
        )
    given, role = turn.get("role", turn.get("from")), role_of(turn)
    if role is None:
        known = ", ".join(_ROLES)
        if given is None:
            raise Unreadable(
                "data.turn_without_role", "a turn has no role", "roles are: {known}", known=known
            )
        raise Unreadable(
            "data.turn_role_unknown",
            "unknown role '{role}'",
            "roles are: {known}",
            role=given,
            known=known,
        )
    said = {"role": role, "content": _content(turn, str(given)), **_of_tools(turn, role)}
    return said if _learned(turn) is not False else {**said, "weight": "0"}


def _learned(turn: dict[str, Any]) -> bool | None:
    """Whether a turn is to be learned, by its `weight` or `train`; None where it has neither."""
    given = {key: turn[key] for key in ("weight", "train") if turn.get(key) is not None}
    for key, value in given.items():
        if value not in (0, 1):  # as numbers, or as false and true
            raise Unreadable(
                "data.turn_weight",
                "'{key}' of a turn is {value}, but a turn is learned or not",
                "write 1 (or true) to learn the turn, and 0 (or false) to leave it out of the loss",
                key=key,
                value=value,
            )
    if len({bool(value) for value in given.values()}) > 1:
        raise Unreadable(
            "data.turn_weights_contradict",
            "a turn has weight {weight} and train {train}",
            "keep one of the two keys",
            **given,
        )
    return next(map(bool, given.values()), None)


def is_learned(turn: Mapping[str, str]) -> bool:
    """Whether the file does not say that this turn is left out of the loss."""
    return turn.get("weight") != "0"


def asks_to_be_learned(turn: Mapping[str, object]) -> bool:
    """Whether a turn as its file writes it says that it is learned."""
    return any(turn.get(key) == 1 for key in ("weight", "train"))


def role_of(turn: Mapping[str, object]) -> str | None:
    """Whose turn it is, whatever its file calls that; None where it does not say."""
    return _ROLES.get(str(turn.get("role", turn.get("from"))).casefold().strip())


def _content(turn: dict[str, Any], role: str) -> str:
    content = turn.get("content", turn.get("value"))
    parts = [_said(content, role)] if content is not None else []
    parts += [_call(call) for call in _calls(turn)]
    if not parts:
        raise Unreadable(
            "data.turn_without_content",
            "a turn of '{role}' has no content",
            "give it content, or remove the turn",
            role=role,
        )
    return "\n".join(part for part in parts if part)


def _said(content: Any, role: str) -> str:
    if isinstance(content, dict) and _ROLES[role.casefold().strip()] in ("assistant", "tool"):
        return json.dumps(content, ensure_ascii=False)  # a call of a tool, or what it returned
    if isinstance(content, (list, tuple)):
        return "".join(_part(part) for part in content)
    if isinstance(content, str):
        return content
    raise Unreadable(
        "data.turn_content_not_text",
        "the content of a turn of '{role}' must be text, not {found}",
        "write it as text",
        role=role,
        found=_kind(content),
    )


def _part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if isinstance(part, dict) and part.get("type") == "text" and text is None:
        text = part.get("value", part.get("content"))
    if isinstance(text, str):
        return text
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise Unreadable(
        "data.turn_part_not_text",
        "a content part is of type {kind}, not text",
        "only text is supported; remove the part or the row",
        kind=kind,
    )


def _calls(turn: dict[str, Any]) -> list[Any]:
    """Calls of tools beside the content, as the OpenAI format writes them."""
    calls = turn.get("tool_calls") or []
    return [*calls, *([turn["function_call"]] if turn.get("function_call") else [])]


def _call(call: Any) -> str:
    """A call as JSON, its arguments as values and not as JSON within JSON."""
    return json.dumps(_function(call), ensure_ascii=False)


def _function(call: Any) -> Any:
    """What a call calls, its arguments as values."""
    function = call.get("function", call) if isinstance(call, dict) else call
    if isinstance(function, dict) and isinstance(function.get("arguments"), str):
        return {**function, "arguments": _from_json(function["arguments"])}
    return function


def _of_tools(turn: dict[str, Any], role: str) -> ChatMessage:
    """What templates with tools read of a turn beside its content."""
    if role == "tool":
        return {key: turn[key] for key in sorted(RESULT_KEYS) if isinstance(turn.get(key), str)}
    content = turn.get("content", turn.get("value"))
    calls, words = _calls(turn), content
    if not calls and role == "assistant" and turn.get("from", turn.get("role")) != role:
        calls, words = _written_calls(content), None  # the whole turn is a call, as ShareGPT has it
    found = [_as_openai(call) for call in calls]
    if not found or None in found:
        return {}
    said = "" if words is None else _said(words, role)
    return {"tool_calls": json.dumps(found, ensure_ascii=False), "words": said}


def _written_calls(content: Any) -> list[Any]:
    """The calls that a text is, if it is nothing else."""
    found = _from_json(content) if isinstance(content, str) else content
    calls = found if isinstance(found, list) else [found]
    return calls if all(isinstance(call, dict) and "name" in call for call in calls) else []


def _as_openai(call: Any) -> dict[str, Any] | None:
    """A call in OpenAI's form; None where it does not say what is called."""
    function = _function(call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    others = {key: value for key, value in call.items() if key == "id"}
    return {**others, "type": "function", "function": function}


def with_system(system: str, messages: list[ChatMessage]) -> list[ChatMessage]:
    """The conversation after its system text, unless it begins with one."""
    if not system.strip() or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def with_tools(cell: object, messages: list[ChatMessage], column: str) -> list[ChatMessage]:
    """The conversation with the tools that it may call; nothing, or an empty list, are none.

    They stand with the first turn, so that whoever reads its beginning alone reads them as well.
    """
    if not messages or cell is None or cell != cell or not str(cell).strip():
        return messages
    tools = cell_as_list(cell, column)
    if any(not isinstance(tool, dict) for tool in tools):
        raise Unreadable(
            "data.tool_not_an_object",
            "a tool of '{column}' must be an object",
            "write each tool as its JSON schema, as OpenAI has it",
            column=column,
        )
    if not tools:
        return messages
    return [{**messages[0], "tools": json.dumps(tools, ensure_ascii=False)}, *messages[1:]]


def is_conversation(given: object) -> bool:
    """Whether it is a list of turns, each with a role and something said or called."""
    if not isinstance(given, (list, tuple)) or not given:
        return False
    try:
        tidy_turns(given)
    except Unreadable:
        return False
    return True


def tidy_turns(given: Sequence[Mapping[str, object]]) -> list[ChatMessage]:
    """Turns as programs give them: as they are where they hold texts alone, else as a file's."""
    if all(isinstance(turn, dict) and _holds_texts(turn) for turn in given):
        return [{key: str(said) for key, said in turn.items()} for turn in given]
    return as_turns(list(given), "messages")


def _holds_texts(turn: Mapping[str, object]) -> bool:
    tidy = {"role", "content"} <= turn.keys()
    return tidy and all(isinstance(value, str) for value in turn.values())
