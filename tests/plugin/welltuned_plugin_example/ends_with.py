"""A reward by rule: a response ends as it shall, such as with a full stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from welltuned.rlhf.rewards import Check


class EndsWith(Check):
    """1 where a response ends with a text, else 0."""

    type: Literal["ends_with"] = "ends_with"
    text: str = "."
    """What it ends with."""

    def score(self, response: str, cells: Mapping[str, Any]) -> float:
        return float(response.rstrip().endswith(self.text))
