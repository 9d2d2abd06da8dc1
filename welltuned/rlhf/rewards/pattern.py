"""A response matches a regular expression, such as the format that it shall have.

Matching has a time limit, for some expressions take exponential time on some texts, and a policy
would find these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import regex
from pydantic import Field, field_validator

from welltuned.rlhf.rewards.base import Check
from welltuned.schema.part import conflict
from welltuned.schema.units import Duration


class Pattern(Check):
    """1 where a regular expression matches a response, else 0."""

    type: Literal["pattern"] = "pattern"
    pattern: str = Field(examples=["Answer: [0-9]+"])
    """The regular expression, as in Python; `.` stands for line breaks, too."""
    match: Literal["anywhere", "whole"] = "anywhere"
    """What has to match: some part of the response, or the whole of it, but for white space around
    it."""
    time_limit: Duration = 1.0
    """How long matching one response may take; where it takes longer, nothing matches."""

    @field_validator("pattern")
    @classmethod
    def _is_expression(cls, pattern: str) -> str:
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise conflict(
                "rlhf.pattern_invalid",
                "'{pattern}' is no regular expression: {reason}",
                "mend it; \\ stands before a sign that is meant as itself",
                pattern=pattern,
                reason=error,
            ) from error
        return pattern

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        expression = regex.compile(self.pattern, regex.DOTALL)  # which `regex` remembers
        matches = expression.fullmatch if self.match == "whole" else expression.search
        text = response.strip() if self.match == "whole" else response
        try:
            return float(matches(text, timeout=self.time_limit) is not None)
        except TimeoutError:
            return 0.0
