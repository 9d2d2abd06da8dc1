"""Tools in conversations: calls and schemas as a template reads them, or as text where it cannot.

A template that reads `tool_calls` is given them as OpenAI's form has them, and writes them as its
family does. To any other a call is what the answer says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from welltuned.tasks.chat.template import Messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_KEYS = {"tool_calls", "tools"}
TOOLS = "the tools"
"""The schemas of what may be called, where a template leaves them out."""


def reads(tokenizer: PreTrainedTokenizerBase, name: str) -> bool:
    """Whether the tokenizer's template knows a variable or a key of turns."""
    return re.search(rf"\b{name}\b", str(tokenizer.chat_template)) is not None


def fitted(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> Messages:
    """The turns with what the template reads of tools, and nothing else of them."""
    if not any(_KEYS & turn.keys() for turn in messages):
        return messages
    unread = {key for key in _KEYS if not reads(tokenizer, key)}
    return [_fitted(turn, unread) for turn in messages]


def _fitted(turn: Mapping[str, str], unread: set[str]) -> Mapping[str, str]:
    said = turn["content"] if "tool_calls" in unread else turn.get("words", turn["content"])
    kept = {key: value for key, value in turn.items() if key not in {"words", *unread}}
    return {**kept, "content": said}


def names_called(turn: Mapping[str, str]) -> list[str]:
    """The tools that a turn calls, in order."""
    if "tool_calls" not in turn:
        return []
    return [call["function"]["name"] for call in json.loads(turn["tool_calls"])]


def calls_as_text(answer: str) -> str | None:
    """The calls that an answer holds, whatever stands around them, as data files write them.

    None where it holds none.
    """
    calls = [
        {"name": call["name"], "arguments": call.get("arguments", call.get("parameters"))}
        for call in _objects(answer)
        if "name" in call
    ]
    return "\n".join(json.dumps(call, ensure_ascii=False) for call in calls) or None


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text, those within others left out."""
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            value, end = None, at + 1
        if isinstance(value, dict):
            found.append(value)
        at = text.find("{", end)
    return found


# --- What a model's own answer calls -----------------------------------------------

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
"""Calls as Hermes' and Qwen's templates write them, each between tags, beside other words."""
_BEGINS = re.compile(r"\s*(?:\[TOOL_CALLS\]|<\|python_tag\|>)?\s*")
"""What Mistral's and Llama's may put before an answer that is calls and nothing else."""


def parse_calls(
    tokenizer: PreTrainedTokenizerBase, answer: str, names: Collection[str]
) -> tuple[str, list[dict[str, str]]]:
    """An answer as its words and its calls of the tools that are `names`, in order.

    A call is a `name` and `arguments`, the latter as JSON. Read is the form that the tokenizer's
    template writes; what is of no known form, is not whole or calls something else stays text.
    """
    if "<tool_call>" in str(tokenizer.chat_template):
        words, written = _TAGGED.sub("", answer), _TAGGED.findall(answer)
    else:
        words, written = "", [_BEGINS.sub("", answer, count=1)]
    found = [call for text in written for call in _calls_of(text, names)]
    return (words.strip(), found) if found and len(found) >= len(written) else (answer, [])


def _calls_of(text: str, names: Collection[str]) -> list[dict[str, str]]:
    """The calls that a text is; none where it is anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    found = [_call_of(one, names) for one in (value if isinstance(value, list) else [value])]
    return [call for call in found if call is not None] if None not in found else []


def _call_of(value: object, names: Collection[str]) -> dict[str, str] | None:
    if not isinstance(value, dict) or value.get("name") not in names:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if not isinstance(arguments, dict):
        return None
    return {"name": value["name"], "arguments": json.dumps(arguments, ensure_ascii=False)}
