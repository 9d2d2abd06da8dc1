"""Regular expressions as rewards, and those that take too long."""

from __future__ import annotations

import time
from typing import Any

import pytest

from faults import refused
from welltuned.rlhf.api import reward


@pytest.mark.parametrize(("match", "rewards"), [("anywhere", [1, 1, 0]), ("whole", [1, 0, 0])])
def test_a_response_matches_somewhere_or_as_a_whole(match: str, rewards: list[float]) -> None:
    form = reward({"type": "pattern", "pattern": "Answer: [0-9]+", "match": match})
    said = [" Answer: 42\n", "The Answer: 42, I think", "Answer: none"]
    assert form([""] * 3, said).tolist() == rewards


def test_what_takes_too_long_does_not_match() -> None:
    slow: dict[str, Any] = {"type": "pattern", "pattern": "(a|a)*b", "time_limit": "0.2s"}
    began = time.monotonic()
    assert reward(slow)([""] * 2, ["a" * 60, "aab"]).tolist() == [0, 1]
    assert time.monotonic() - began < 5


def test_what_is_no_expression_is_refused() -> None:
    with refused("rlhf.pattern_invalid", pattern="(["):
        reward({"type": "pattern", "pattern": "(["})
