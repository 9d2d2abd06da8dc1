"""Numbers as people and models write them, and when they are right."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import pytest

from welltuned.rlhf.rewards.final_number import FinalNumber, final_number, number_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("that makes 1,234.5 in all", "2469/2"),
        ("it is 18.", "18"),
        ("3 * 4 = 12, so x = -12", "-12"),
        ("the balance is −7", "-7"),
        ("he owes -$1,200.", "-1200"),
        ("10-5", "5"),
        ("three quarters, 3/4", "3/4"),
        ("1 3/4 cups", "7/4"),
        ("2½ cups", "5/2"),
        (r"so \frac{3}{4}", "3/4"),
        (r"\boxed{\dfrac{-1}{2}} or rather 7", "-1/2"),
        (r"\boxed{1{,}000} of \boxed{2{,}000} and 3", "2000"),
        ("48/2 = <<48/2=24>>24\n#### 72", "72"),
        ("#### 5\n#### 1,500 eggs\nand 3 more", "1500"),
        ("答案是-18。", "-18"),
        ("１２", "12"),
        ("1.5e3", "1500"),
        (".5", "1/2"),
    ],
)
def test_the_final_number_of_a_text(text: str, value: str) -> None:
    found = final_number(text)
    assert found is not None and found.value == Fraction(value) and not found.percent


@pytest.mark.parametrize(
    "text", ["", "none", "v1.2.3", "H2O", "5/0", "9" * 5000, r"\boxed{no} 3", "#### ?\n3"]
)
def test_texts_that_come_to_no_number(text: str) -> None:
    assert final_number(text) is None


def test_long_texts_take_no_longer_than_they_are_long() -> None:
    began = time.process_time()
    for text in ("1 " * 4000, "1" * 20_000, "1,111" * 4000, r"\frac{" * 4000, " " * 20_000):
        final_number(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("response", "answer", "reward"),
    [
        ("it is 18", 18, 1),
        ("it is 18.0", "18", 1),
        ("it is 17", 18, 0),
        ("I do not know", 18, 0),
        ("0.1", 0.1, 1),
        ("1/3", "0.3333", 0),
        ("50%", 50, 1),
        ("50%", 0.5, 1),
        ("50%", "50%", 1),
        ("0.5%", "50%", 0),
        ("0.5", "50 percent", 1),
        ("12", "There are 3 * 4 eggs.\n#### 12", 1),
    ],
)
def test_numbers_that_are_equal_are_right(response: str, answer: Any, reward: float) -> None:
    assert FinalNumber().score(response, {"answer": answer}) == reward


def test_a_tolerance_is_a_share_of_the_right_number() -> None:
    near = FinalNumber(tolerance=0.01)
    rewards = [near.score(said, {"answer": -200}) for said in ("-201", "-198", "-203", "200")]
    assert rewards == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("written", "rewards"),
    [("anyhow", [1, 1, 1]), ("boxed", [0, 1, 0]), ("hashes", [0, 0, 1])],
)
def test_a_form_may_be_asked_for(written: Any, rewards: list[float]) -> None:
    reward = FinalNumber(column="right", written=written)
    said = ["it is 4", r"it is \boxed{4}", "it is\n#### 4"]
    assert reward.scores([""] * 3, said, {"right": [4, 4, 4]}) == rewards


def test_cells_without_a_number_are_of_no_use() -> None:
    cells: list[Any] = [3, 0.5, "4 eggs", "none", None, True, float("nan"), [3]]
    accepted = [FinalNumber().accepts(cell) for cell in cells]
    assert accepted == [True, True, True, False, False, False, False, False]
    assert number_in(0.1) == number_in("1/10")
