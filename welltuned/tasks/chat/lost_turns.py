"""Turns that a template leaves out: what they say is not in the text that the model reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from welltuned.errors import InputError
from welltuned.tasks.chat.template import Messages, apply_template
from welltuned.tasks.chat.tool_calls import names_called

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REASONING = "reasoning"
"""What an answer says before `</think>`, which many templates keep of the last answer alone."""
_END_OF_REASONING = "</think>"

_Roles = tuple[str, ...]
_DEAF_TO: WeakKeyDictionary[PreTrainedTokenizerBase, dict[tuple[str, _Roles], frozenset[int]]] = (
    WeakKeyDictionary()
)
"""By template and roles, the numbers of the turns that are left out whatever they say."""


def lost_turns(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, text: str
) -> tuple[str, ...]:
    """The roles of those whose turns are not in the text, in order.

    A turn is lost where its words are not found, or where the template leaves out the words of
    any turn in its place, though another turn may have said the same.
    """
    deaf = _deaf_to(tokenizer, tuple(turn["role"] for turn in messages))
    found = (
        _lost(turn["role"], turn["content"], text, index in deaf)
        or (None if all(name in text for name in names_called(turn)) else turn["role"])
        for index, turn in enumerate(messages)
    )
    return tuple(role for role in found if role is not None)


def _lost(role: str, content: str, text: str, is_deaf: bool) -> str | None:
    if not content.strip():
        return None
    if is_deaf:
        return role
    if _is_in(content, text):
        return None
    thought, _, answer = content.rpartition(_END_OF_REASONING)
    if thought and (not answer.strip() or answer.strip() in text):
        return None if _is_in(thought.replace("<think>", ""), text) else REASONING
    return role


def _is_in(content: str, text: str) -> bool:
    """Whether a text has the content: as it is, or as JSON writes it."""
    said = content.strip()
    return said in text or json.dumps(said, ensure_ascii=False)[1:-1] in text


def _deaf_to(tokenizer: PreTrainedTokenizerBase, roles: _Roles) -> frozenset[int]:
    template = str(tokenizer.chat_template)
    known = _DEAF_TO.setdefault(tokenizer, {})
    if (template, roles) not in known:
        known[template, roles] = _try(tokenizer, roles)
    return known[template, roles]


def _try(tokenizer: PreTrainedTokenizerBase, roles: Sequence[str]) -> frozenset[int]:
    """The turns whose words are gone when each says something of its own."""
    said = [f"Wx{index}x" for index in range(len(roles))]  # as no template has it
    turns = [{"role": role, "content": word} for role, word in zip(roles, said, strict=True)]
    try:
        text = apply_template(tokenizer, turns, False, None)
    except InputError:  # it looks at what is said
        return frozenset()
    return frozenset(index for index, word in enumerate(said) if word not in text)
