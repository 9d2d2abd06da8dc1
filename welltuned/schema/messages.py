"""Messages: text and values kept apart, so that they can be shown in any language.

A sentence is kept apart from its values, so that run folders hold what reports of every language
can say. It is plain data: `{"say": "{name} is best", "values": {"name": "lora"}}`.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]


def message(text: str, **values: Any) -> Message:
    """A sentence, translated where it is shown: `{name}` stands for a value."""
    return {"say": text, "values": values}


def render_message(sentence: Message) -> str:
    """The sentence in English."""
    return str(sentence["say"]).format(**sentence["values"])
