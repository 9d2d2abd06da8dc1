"""Chat templates: programs that write a conversation as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from welltuned.errors import Fault, InputError, Place

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, str]]
"""Turns as `data.message_parsing.ChatMessage` describes them."""

DEFAULT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ message['role'] | capitalize + ':\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)
"""For tokenizers without a template of their own: a role, a line break, what was said.

What begins an answer is a line break, since hardly any tokenizer joins one with the
word that follows; so a prompt alone has the tokens that it has before its answer.
"""


def apply_template(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, prompting: bool, place: Place | None
) -> str:
    """A conversation as text; `prompting` adds what begins an answer. Raises `InputError`."""
    try:
        return str(
            tokenizer.apply_chat_template(
                [_as_read(turn) for turn in messages],
                tools=json.loads(messages[0].get("tools", "null")) if messages else None,
                tokenize=False,
                add_generation_prompt=prompting,
            )
        )
    except Exception as error:  # a template is a program, and may fail in any way
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            Fault(
                "task.chat_template_fails",
                "the tokenizer's chat template fails: {reason}",
                place,
                "change the conversation, or set another tokenizer.chat_template",
                reason=reason,
            )
        ) from error


def _as_read(turn: Mapping[str, str]) -> dict[str, Any]:
    """A turn as templates read it: its calls as values, and nothing that is not the turn's."""
    given: dict[str, Any] = {k: said for k, said in turn.items() if k not in ("weight", "tools")}
    if "tool_calls" in given:
        given["tool_calls"] = json.loads(given["tool_calls"])
    return given
