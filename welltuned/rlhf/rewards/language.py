"""A response is in a language, by its script and its commonest words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from welltuned.data.language import main_language
from welltuned.rlhf.rewards.base import Check


class InLanguage(Check):
    """1 where a response is in a language, else 0; without a letter it is in none."""

    type: Literal["language"] = "language"
    language: Literal["en", "zh", "other"] = Field(examples=["en"])
    """English, Chinese, or any language but these."""

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        has_letters = any(map(str.isalpha, response))
        return float(has_letters and main_language([response]) == self.language)
