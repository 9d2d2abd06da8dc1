"""Rewards that configs in tests name by import path."""

from __future__ import annotations


def wants_negative(prompts: list[str], responses: list[str]) -> list[float]:
    """Costs that differ by class: calling something positive is dear."""
    return [1.0 if response == "negative" else -0.5 for response in responses]


def wants_good(prompts: list[str], responses: list[str]) -> list[float]:
    """The share of a response that is the word `good`."""
    return [
        response.split().count("good") / max(1, len(response.split())) for response in responses
    ]


def breaks(prompts: list[str], responses: list[str]) -> list[float]:
    raise KeyError("the rater has gone home")


def wants_word(
    prompts: list[str], responses: list[str], columns: dict[str, list[str]]
) -> list[float]:
    """How often a response says the word of its prompt's own row."""
    rows = zip(prompts, responses, columns["text"], columns["word"], strict=True)
    found = []
    for prompt, response, text, word in rows:
        assert text.startswith(prompt.strip()), "cells are those of the prompt's row"
        found.append(float(response.split().count(word)))
    return found
