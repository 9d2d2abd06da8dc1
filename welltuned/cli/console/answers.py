"""Predictions as one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pretty(text: Any, row: Mapping[str, Any]) -> str:
    if row["prediction"] is None:
        return f"no answer: {row['reason']} ({row['id']})"
    if row.get("cut"):
        return f"{_answered(text, row)}  (cut)"
    return _answered(text, row)


def _answered(text: Any, row: Mapping[str, Any]) -> str:
    if "words" in row:
        return _tagged(row)
    prediction = row["prediction"]
    if isinstance(prediction, list) and prediction and isinstance(prediction[0], float):
        prompt, responses = text
        return _rewarded(prompt, responses, prediction)
    shown = text if isinstance(text, str) else " | ".join(text)
    if "probabilities" not in row and isinstance(prediction, str):
        return f"{shown}\n  {prediction}"
    if isinstance(prediction, float):
        return f"{prediction:10.4f}  {shown}"
    named = ", ".join(prediction) if isinstance(prediction, list) else prediction
    confidence = max(row["probabilities"].values())
    return f"{named:12} {confidence:6.1%}  {shown}"


def _rewarded(prompt: str, responses: list[str], rewards: list[float]) -> str:
    """A prompt, and each of its responses after its reward."""
    pairs = zip(rewards, responses, strict=True)
    return "\n".join([prompt, *(f"{reward:10.4f}  {response}" for reward, response in pairs)])


def _tagged(row: Mapping[str, Any]) -> str:
    """A sentence with its entities in brackets, `[Ada Lovelace PER]`, or every word/TAG."""
    words = list(row["words"])
    if "entities" not in row:
        pairs = zip(words, row["prediction"], strict=True)
        return " ".join(f"{word}/{tag or '?'}" for word, tag in pairs)
    for entity in row["entities"]:
        words[entity["start"]] = "[" + words[entity["start"]]
        words[entity["stop"] - 1] += f" {entity['type']}]"
    return " ".join(words)
