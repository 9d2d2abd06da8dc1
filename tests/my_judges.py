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
