"""Texts that have to be said, and that may not."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from welltuned.rlhf.api import reward
from welltuned.rlhf.rewards.contains import Contains

SAID = ["Dear Ada, yes. Sincerely, B", "Dear Ada, yes", "dear ada, no; sincerely", "no"]


@pytest.mark.parametrize(
    ("values", "rewards"),
    [
        ({"all_of": ["Dear", "Sincerely"]}, [1, 0, 1, 0]),
        ({"all_of": ["Dear"], "ignore_case": False}, [1, 1, 0, 0]),
        ({"any_of": ["yes", "no"]}, [1, 1, 1, 1]),
        ({"any_of": ["yes"], "none_of": ["sincerely"]}, [0, 1, 0, 0]),
        ({"none_of": ["YES"]}, [0, 0, 1, 1]),
    ],
)
def test_what_is_contained(values: dict[str, Any], rewards: list[float]) -> None:
    assert reward({"type": "contains", **values})([""] * 4, SAID).tolist() == rewards


def test_each_row_may_have_texts_of_its_own() -> None:
    judge = reward({"type": "contains", "column": "words", "none_of": ["no"]})
    words = [["ada", "B"], "yes", '["dear"]', ["no"]]
    assert judge([""] * 4, SAID, {"words": words}).tolist() == [1, 1, 0, 0]
    assert [Contains(column="words").accepts(cell) for cell in ("a", [], None, ["a", ""])] == [
        True, False, False, False,
    ]  # fmt: skip


def test_to_ask_for_nothing_is_refused() -> None:
    with refused("rlhf.contains_nothing"):
        reward("contains")
