"""Readings: how a doubtful thing in a file was read, by what evidence, and which key decides.

Where a file allows two readings, the reader picks one by evidence it can state, and says so in one
line. Where the evidence is weak it records a fault instead, whose remedy names the same key.

Each kind of doubt is a `Question`, and `QUESTIONS` holds all of them: docs/readings.md is written
from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from welltuned.schema.messages import Message


@dataclass(frozen=True)
class Question:
    """One kind of doubt about a file."""

    name: str
    asks: str
    """The question as a person would put it."""
    evidence: str
    """What decides, and when the answer is asked for instead."""
    key: str
    """The key of the config that decides in place of evidence."""


QUESTIONS: dict[str, Question] = {}
"""Every kind of doubt, by name."""


def question(name: str, *, asks: str, evidence: str, key: str) -> Question:
    """Add a kind of doubt to `QUESTIONS`. Raises `ValueError` where the name is taken."""
    if name in QUESTIONS:
        raise ValueError(f"there is a question '{name}' already")
    QUESTIONS[name] = Question(name, asks, evidence, key)
    return QUESTIONS[name]


@dataclass(frozen=True)
class Reading:
    """The answer to a question about one file: written to data.json, and shown everywhere."""

    question: str
    """The name of the `Question`."""
    picked: str
    """The reading that was picked, in a word or two: `data`, `names`."""
    said: Message
    """What was picked, by what evidence, and the key that says otherwise, in one line."""


def read_as(question: Question, picked: str, said: Message) -> Reading:
    """The answer to a question."""
    return Reading(question.name, picked, said)
