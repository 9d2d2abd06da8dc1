"""Sentences that are put together here and said in a reader's language elsewhere.

A sentence is kept apart from its values, so that run folders hold what reports of every language
can say. It is plain data: `{"say": "{name} is best", "values": {"name": "lora"}}`.
"""

from __future__ import annotations

from typing import Any

Sentence = dict[str, Any]


def say(text: str, **values: Any) -> Sentence:
    """A sentence, translated where it is shown: `{name}` stands for a value."""
    return {"say": text, "values": values}


def told(sentence: Sentence) -> str:
    """The sentence in English."""
    return str(sentence["say"]).format(**sentence["values"])
