"""What every rule does alike: it is given the cells of each prompt's own row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from welltuned.rlhf.rewards.base import Check, Columns


class Same(Check):
    """1 where a response is what its row has in `right`."""

    type: Literal["same"] = "same"

    @property
    def needed_columns(self) -> tuple[str, ...]:
        return ("right",)

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        assert set(cells) == {"right"}, "what is not asked for is not given"
        return float(response == cells["right"])


COLUMNS: Columns = {"right": ["a", "b", "c"], "other": [1, 2, 3]}


def test_each_response_is_held_against_its_own_row() -> None:
    assert Same().scores(["p"] * 3, ["a", "a", "c"], COLUMNS) == [1, 0, 1]
    assert Same().scorer(None)(["p"], ["b"], {"right": ["b"]}) == [1]


def test_a_column_that_is_not_given_does_not_pass_for_an_empty_one() -> None:
    with pytest.raises(KeyError, match="right"):
        Same().scores(["p"], ["a"], {"other": [1]})
    with pytest.raises(KeyError, match="right"):
        Same().scores(["p"], ["a"])


def test_a_rule_needs_nothing_that_was_made_before() -> None:
    reward = Same()
    assert (reward.name, reward.kind, reward.weight) == ("same", "check", 1.0)
    assert reward.made_in(None) is None and reward.made_in(Path("runs/mine")) == Path("runs/mine")
    assert reward.accepts(None)
