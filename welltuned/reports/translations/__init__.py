"""The languages of reports: a catalogue each, with its labels and its messages.

English needs no catalogue: its labels stand in the templates, and messages carry their English
words. A label is found by its English words, a message by its code. What comes from the data and
from settings is shown as it is.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import yaml

from welltuned.schema.messages import Message

_OF_SPLITS = {"split", "splits", "sizes", "pairs"}
"""Values of messages that hold names of splits, and no words of users."""
_SPLIT = re.compile("train|validation|test| and ")


class Translator:
    """Labels and messages in one language: `en`, or one that has a catalogue.

    >>> _ = Translator("zh")
    >>> _("{number} training examples", number=3)
    '训练样本 3 条'
    """

    def __init__(self, language: str) -> None:
        texts = {"labels": {}, "messages": {}} if language == "en" else catalogue(language)
        self._labels, self._messages = texts["labels"], texts["messages"]

    def __call__(self, label: str, /, **values: object) -> str:
        """A label of a template, by its English words."""
        text = self._labels.get(label, label)
        return text.format(**values) if values else text

    def message(self, message: Message | str) -> str:
        """A message by its code; in English where the language does not know it.

        Runs made before notes had codes hold them as English text; and those made before a message
        got one more value have the English words for the values they hold.
        """
        if isinstance(message, str):
            return message
        text = self._messages.get(message.get("code", ""), message["say"])
        values = {name: self._value(name, value) for name, value in message["values"].items()}
        try:
            return str(text).format(**values)
        except KeyError:
            return str(message["say"]).format(**values)

    def _value(self, name: str, value: object) -> object:
        """Splits have names in every language; other values come from data and settings."""
        if name not in _OF_SPLITS or not isinstance(value, str):
            return value
        return _SPLIT.sub(lambda found: self(found.group()), value)


@cache
def catalogue(language: str) -> dict[str, dict[str, str]]:
    """`labels` by their English words and `messages` by their codes."""
    file = resources.files(__name__) / f"{language}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


ENGLISH = Translator("en")
