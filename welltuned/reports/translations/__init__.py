"""The languages of reports: a catalogue each, from the English sentence to its translation.

English needs no catalogue: its sentences stand in the templates. What comes
from the data and from settings is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import yaml

Translate = Callable[..., str]
"""`_("{number} examples", number=3)`: the sentence in the report's language."""


def translator(language: str) -> Translate:
    """The function that says a sentence in a language: `en`, or one that has a catalogue."""
    sentences = {} if language == "en" else catalogue(language)

    def say(sentence: str, **values: Any) -> str:
        text = sentences.get(sentence, sentence)
        return text.format(**values) if values else text

    return say


@cache
def catalogue(language: str) -> dict[str, str]:
    """All sentences of a language by their English form."""
    file = resources.files(__name__) / f"{language}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


ENGLISH = translator("en")
