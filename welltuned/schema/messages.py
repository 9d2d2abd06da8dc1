"""Messages: sentences kept apart from their values, and rendered in the reader's language.

A message is plain data, so that run folders hold what reports of every language can render:
`{"code": "compare.best", "say": "{name} is best", "values": {"name": "lora"}}`. Translations are
found by the code; the English words stay with the message.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def message(code: str, text: str, /, **values: object) -> Message:
    """A sentence, translated where it is shown: `{name}` stands for a value."""
    return {"code": code, "say": text, "values": values}


def render_message(sentence: Message) -> str:
    """The sentence in English."""
    return str(sentence["say"]).format(**sentence["values"])
