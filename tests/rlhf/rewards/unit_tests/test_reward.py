"""Programs in responses, and what they are worth."""

from __future__ import annotations

from typing import Any

import pytest

from faults import refused
from welltuned.rlhf.api import reward
from welltuned.rlhf.rewards.unit_tests import UnitTests
from welltuned.rlhf.rewards.unit_tests.reward import program_in

TESTS = ["assert double(2) == 4", "assert double(-1) == -2", "assert double(0) == 0"]
RIGHT = "Here it is:\n```python\ndef double(x):\n    return 2 * x\n```\nThat is all."
SQUARE = "def double(x):\n    return x * x\n"


def unit_tests(**values: Any) -> dict[str, Any]:
    return {"type": "unit_tests", "execute": True, **values}


@pytest.mark.parametrize(("score_by", "rewards"), [("all", [1, 0, 0]), ("share", [1, 2 / 3, 0])])
def test_a_program_is_worth_the_tests_that_it_passes(score_by: str, rewards: list[float]) -> None:
    judge = reward(unit_tests(score_by=score_by))
    found = judge([""] * 3, [RIGHT, SQUARE, "I cannot"], {"tests": [TESTS] * 3})
    assert found.tolist() == pytest.approx(rewards)


def test_tests_may_be_one_text_or_a_list_that_is_written_as_one() -> None:
    judge = reward(unit_tests(column="checks"))
    cells = ["\n".join(TESTS), str(TESTS)]
    assert judge([""] * 2, [RIGHT] * 2, {"checks": cells}).tolist() == [1, 1]


def test_the_program_is_what_stands_in_blocks_of_python_or_all() -> None:
    assert program_in("```py\na\n```\n```bash\nb\n```\n```\nc\n```") == "a\n\nc\n"
    assert program_in("So:\n\n```python\ncut short") == "cut short"
    assert program_in("plain") == "plain"


def test_nothing_runs_unless_somebody_says_so() -> None:
    with refused("rlhf.execution_not_allowed"):
        reward("unit_tests")


def test_cells_without_tests_are_of_no_use() -> None:
    judge = UnitTests(execute=True)
    assert [judge.accepts(cell) for cell in ("assert x", [" "], "", None)] == [
        True, False, False, False,
    ]  # fmt: skip
