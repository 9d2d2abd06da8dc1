"""A prediction as one line for people."""

from __future__ import annotations

from typing import Any


def pretty(text: Any, row: dict[str, Any]) -> str:
    if "words" in row:
        return _tagged(row)
    shown = text if isinstance(text, str) else " | ".join(text)
    prediction = row["prediction"]
    if "probabilities" not in row and isinstance(prediction, str):
        return f"{shown}\n  {prediction}"
    if isinstance(prediction, float):
        return f"{prediction:10.4f}  {shown}"
    named = ", ".join(prediction) if isinstance(prediction, list) else prediction
    confidence = max(row["probabilities"].values())
    return f"{named:12} {confidence:6.1%}  {shown}"


def _tagged(row: dict[str, Any]) -> str:
    """A sentence with its entities in brackets, `[Ada Lovelace PER]`, or every word/TAG."""
    words = list(row["words"])
    if "entities" not in row:
        pairs = zip(words, row["prediction"], strict=True)
        return " ".join(f"{word}/{tag or '?'}" for word, tag in pairs)
    for entity in row["entities"]:
        words[entity["start"]] = "[" + words[entity["start"]]
        words[entity["stop"] - 1] += f" {entity['type']}]"
    return " ".join(words)
