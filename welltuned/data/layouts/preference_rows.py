"""One preference row: a comparison, a ranking or a rating, in any of the common layouts.

A row that cannot be read raises `Unreadable`, which says how to mend it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from welltuned.data.layouts.message_parsing import (
    ChatMessage,
    Unreadable,
    as_text,
    as_turns,
    cell_as_list,
    turns_in,
    with_system,
)
from welltuned.data.records import Role

_PROMPT = (
    Role("prompt", ("prompt", "question", "query", "instruction"), required=False),
    Role("input", ("input", "context"), required=False),
    Role("messages", ("messages", "conversations", "conversation"), required=False),
    Role("system", ("system", "system_prompt"), required=False),
)
_KEPT = (
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
)
_CHOSEN = Role("chosen", ("chosen", "preferred"), required=False)
_REJECTED = Role("rejected", ("rejected", "dispreferred"), required=False)
_MARGIN = Role("margin", ("margin",), required=False)
_RESPONSES = Role("responses", ("responses",), required=False)
_RESPONSE = Role("response", ("response", "answer", "completion", "output"), required=False)
_SCORE = Role("score", ("score", "rating", "reward", "stars", "label"), required=False)
_TEXT = Role("text", ("text", "sentence", "content", "review"), required=False)

Kind = Literal["preferences", "rankings", "ratings"]

ROLES: dict[Kind, tuple[Role, ...]] = {
    "preferences": (*_PROMPT, _CHOSEN, _REJECTED, _MARGIN, *_KEPT),
    "rankings": (*_PROMPT, _RESPONSES, *_KEPT),
    "ratings": (*_PROMPT, _RESPONSE, _SCORE, _TEXT, *_KEPT),
}
"""What columns of each kind of file hold, and their usual names."""

Prompt = str | list[ChatMessage]
Cells = dict[str, Any]
"""One row: {role: cell}."""


@dataclass(frozen=True)
class PreferenceLayout:
    """Which columns of a file hold what: {role: column}."""

    kind: Kind
    columns: dict[str, str]

    def name(self, role: str) -> str:
        return self.columns.get(role, role)


@dataclass(frozen=True)
class Judgement:
    """Responses to a prompt, the better before the worse; or one with its score.

    The prompt is None where texts were judged by themselves, the score where none is given.
    """

    prompt: Prompt | None
    responses: list[str]
    margin: float = 0.0
    score: float | None = None


def read_judgement(cells: Cells, layout: PreferenceLayout) -> Judgement:
    """A row as its file's kind has it."""
    if layout.kind == "preferences":
        return _read_preference(cells, layout)
    if layout.kind == "rankings":
        return _read_ranking(cells, layout)
    return _read_rating(cells, layout)


def _read_preference(cells: Cells, layout: PreferenceLayout) -> Judgement:
    given = [(cells[role], role) for role in ("chosen", "rejected")]
    if all(_is_missing(cell) for cell, _ in given):
        raise Unreadable(
            "data.not_a_preference",
            "the row has neither chosen nor rejected, unlike the others",
            "put rankings and ratings into files of their own, or remove the row",
        )
    prompt, responses = _answered(given, cells, layout)
    return Judgement(prompt, responses, _margin(cells, layout))


def _read_ranking(cells: Cells, layout: PreferenceLayout) -> Judgement:
    given = [
        (cell, "responses") for cell in cell_as_list(cells["responses"], layout.name("responses"))
    ]
    if len(given) < 2:
        raise Unreadable(
            "data.ranking_too_short",
            "the ranking has too few responses: {number}",
            "give two or more responses in '{column}', best first",
            number=len(given),
            column=layout.name("responses"),
        )
    return Judgement(*_answered(given, cells, layout))


def _read_rating(cells: Cells, layout: PreferenceLayout) -> Judgement:
    score = None if _is_missing(cells.get("score")) else _number(cells["score"], "score", layout)
    if "response" in cells:
        prompt, responses = _answered([(cells["response"], "response")], cells, layout)
    elif "messages" in cells:
        whole = [(cells["messages"], "messages")]
        prompt, responses = _answered(whole, {**cells, "messages": None}, layout)
    else:
        return Judgement(None, [as_text(cells["text"], layout.name("text"))], score=score)
    return Judgement(prompt, responses, score=score)


# --- Prompts and responses -----------------------------------------------------


def _answered(
    given: Sequence[tuple[Any, str]], cells: Cells, layout: PreferenceLayout
) -> tuple[Prompt, list[str]]:
    """The one prompt that all cells answer, and their responses. `given`: (cell, its role)."""
    before = _prompt(cells, layout)
    answers = [_answer(cell, role, layout, before) for cell, role in given]
    prompt = answers[0][0]
    if any(other != prompt for other, _ in answers):
        raise Unreadable(
            "data.prompts_differ",
            "the responses answer different prompts",
            "the conversations may differ only in their last turn",
        )
    said = prompt if isinstance(prompt, str) else "".join(t["content"] for t in prompt or ())
    if prompt is None or not said.strip():
        raise _missing("prompt", layout)
    return prompt, [response for _, response in answers]


def _prompt(cells: Cells, layout: PreferenceLayout) -> Prompt | None:
    """The conversation or text that was answered; None where no column holds it."""
    system = as_text(cells.get("system"), layout.name("system"))
    for role in ("messages", "prompt"):
        if turns_in(cells.get(role)):
            return with_system(system, as_turns(cells[role], layout.name(role)))
    parts = [as_text(cells.get(role), layout.name(role)) for role in ("prompt", "input")]
    text = "\n".join(part for part in parts if part.strip())
    if not text:
        return None
    return with_system(system, [{"role": "user", "content": text}]) if system.strip() else text


def _answer(
    cell: Any, role: str, layout: PreferenceLayout, before: Prompt | None
) -> tuple[Prompt | None, str]:
    """(what is answered, the response) of a cell: a text, a turn, or a whole conversation."""
    column = layout.name(role)
    if _is_missing(cell):
        raise _missing(role, layout)
    cell = [cell] if isinstance(cell, dict) else cell
    if not turns_in(cell):
        return before, as_text(cell, column)
    turns = as_turns(cell, column)
    if turns[-1]["role"] != "assistant":
        raise Unreadable(
            "data.response_not_last",
            "'{column}' does not end with an assistant turn",
            "make the response its last turn",
            column=column,
        )
    return _joined(before, turns[:-1]), turns[-1]["content"]


def _joined(before: Prompt | None, turns: list[ChatMessage]) -> Prompt | None:
    """The prompt, and turns between it and a response, which may begin with it again."""
    if not turns:
        return before
    known = [{"role": "user", "content": before}] if isinstance(before, str) else before or []
    return turns if turns[: len(known)] == known else [*known, *turns]


def prompt_text(prompt: Prompt | None) -> str:
    """A prompt for people, and for models that read no conversations.

    Roles are named where somebody else than the user speaks.
    """
    if prompt is None or isinstance(prompt, str):
        return prompt or ""
    if [turn["role"] for turn in prompt] == ["user"]:
        return prompt[0]["content"]
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt)


# --- Cells ---------------------------------------------------------------------


def _margin(cells: Cells, layout: PreferenceLayout) -> float:
    if _is_missing(cells.get("margin")):
        return 0.0
    margin = _number(cells["margin"], "margin", layout)
    if margin < 0:
        raise Unreadable(
            "data.margin_negative",
            "the margin {margin:g} is negative",
            "swap chosen and rejected, or give 0 or more",
            margin=margin,
        )
    return margin


def _number(cell: Any, role: str, layout: PreferenceLayout) -> float:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise Unreadable(
            "data.cell_not_a_number",
            "the {role} {cell!r} is not a number",
            "write a finite number in '{column}'",
            role=role,
            cell=str(cell)[:60],
            column=layout.name(role),
        )
    return number


def _missing(role: str, layout: PreferenceLayout) -> Unreadable:
    named = f"{role} response" if role in ("chosen", "rejected") else role
    return Unreadable(
        "data.cell_missing",
        "the {role} is missing",
        "fill in '{column}', or remove the row",
        role=named,
        column=layout.name(role),
    )


def _is_missing(cell: Any) -> bool:
    """Nothing, or what stands for it in tables; an empty text is an answer all the same."""
    return cell is None or (isinstance(cell, float) and cell != cell)
