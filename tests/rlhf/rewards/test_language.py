"""Languages as rewards."""

from __future__ import annotations

import pytest

from welltuned.rlhf.api import reward

SAID = ["The room was clean.", "房间很干净。", "Das Zimmer ist nicht sauber.", "", "42 + 1!"]


@pytest.mark.parametrize(
    ("language", "rewards"),
    [("en", [1, 0, 0, 0, 0]), ("zh", [0, 1, 0, 0, 0]), ("other", [0, 0, 1, 0, 0])],
)
def test_a_response_is_in_a_language_or_in_none(language: str, rewards: list[float]) -> None:
    judge = reward({"type": "language", "language": language})
    assert judge([""] * 5, SAID).tolist() == rewards
