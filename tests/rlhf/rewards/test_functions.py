"""Rewards that are functions: how they are called, what they may not give back, and sums."""

from __future__ import annotations

import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
import torch

from faults import fails, refused
from welltuned.errors import Place, Stopped
from welltuned.rlhf.rewards import JudgeSource
from welltuned.rlhf.rewards.build import build_reward
from welltuned.rlhf.rewards.functions import RewardFunction, WeightedReward

CPU = torch.device("cpu")
PROMPTS, RESPONSES = ["the film ", "the room "], ["was good and great", "was bad"]


def source(**values: Any) -> JudgeSource:
    return JudgeSource.model_validate(values)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An importable module of the user's."""
    module = types.ModuleType("my_rewards")
    monkeypatch.setitem(sys.modules, "my_rewards", module)
    return module


def test_a_function_is_called_with_prompts_and_responses(mine: Any) -> None:
    heard: list[Any] = []

    def score(prompts: Any, responses: Any) -> list[int]:
        heard.append((prompts, responses))
        return [1, 2]

    mine.score = score
    judge = build_reward(source(function="my_rewards.score"), None, CPU)
    rewards = judge(tuple(PROMPTS), tuple(RESPONSES))
    assert rewards.dtype == np.float32 and rewards.tolist() == [1, 2]
    assert heard == [(PROMPTS, RESPONSES)]


@pytest.mark.parametrize(
    ("given", "code", "values"),
    [
        ([1.0], "bad_shape", {"shape": (1,), "responses": 2}),
        ([[1.0], [2.0]], "bad_shape", {"shape": (2, 1)}),
        (3.0, "bad_shape", {"shape": ()}),
        (["good", "bad"], "not_numbers", {}),
        (None, "bad_shape", {"shape": ()}),
        ([1.0, float("nan")], "not_finite", {"number": 2, "response": "was bad"}),
        ([float("inf"), 0.0], "not_finite", {"number": 1, "reward": float("inf")}),
    ],
)
def test_what_is_no_reward_is_refused_with_the_response(
    given: Any, code: str, values: dict[str, Any], mine: Any
) -> None:
    mine.score = lambda prompts, responses: given
    judge = build_reward(source(function="my_rewards.score"), None, CPU)
    with fails(f"rlhf.reward_{code}", name="my_rewards.score", **values):
        judge(PROMPTS, RESPONSES)


def test_a_function_that_raises_is_told_with_its_line(mine: Any) -> None:
    def score(prompts: Any, responses: Any) -> Any:
        return 1 / 0

    mine.score = score
    with fails("rlhf.reward_failed", kind="ZeroDivisionError") as error:
        build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)
    (fault,) = error.value.faults
    assert fault.place == Place(__file__, score.__code__.co_firstlineno + 1)


def test_a_signal_that_arrives_while_judging_stops_the_run(mine: Any) -> None:
    def score(prompts: Any, responses: Any) -> Any:
        raise Stopped(15)

    mine.score = score
    with pytest.raises(Stopped):
        build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)


def test_tensors_will_do(mine: Any) -> None:
    mine.score = lambda prompts, responses: torch.tensor([1.0, 2.0], requires_grad=True)
    assert build_reward(source(function="my_rewards.score"), None, CPU)(PROMPTS, RESPONSES)[1] == 2


def test_a_function_that_is_not_there_is_refused() -> None:
    with refused("import.failed", what="reward", path="no_such.thing"):
        build_reward(source(function="no_such.thing"), None, CPU)


# --- Columns, and time ------------------------------------------------------------


def test_a_function_with_columns_is_given_them_as_well(mine: Any) -> None:
    heard: list[Any] = []

    def score(prompts: Any, responses: Any, columns: Any) -> list[int]:
        heard.append(columns)
        return [0] * len(responses)

    mine.score = score
    judge = build_reward(source(function="my_rewards.score", columns=["b"]), None, CPU)
    judge(PROMPTS, RESPONSES, {"a": (1, 2), "b": (3, 4)})
    assert heard == [{"b": [3, 4]}]
    with refused("rlhf.reward_columns_not_given", column="b"):
        judge(PROMPTS, RESPONSES, {"a": [1, 2]})


def test_a_call_that_is_not_back_in_time_is_given_up(mine: Any) -> None:
    released = threading.Event()
    mine.score = lambda prompts, responses: released.wait(30)
    judge = build_reward(source(function="my_rewards.score", time_limit="0.1s"), None, CPU)
    with fails("rlhf.reward_too_slow", name="my_rewards.score", seconds=0.1):
        judge(PROMPTS, RESPONSES)
    released.set()


def test_within_the_limit_answers_and_failures_are_those_of_the_function(mine: Any) -> None:
    limited = source(function="my_rewards.score", time_limit="30s")
    mine.score = lambda prompts, responses: [1, 2]
    assert build_reward(limited, None, CPU)(PROMPTS, RESPONSES).tolist() == [1, 2]
    mine.score = lambda prompts, responses: dict[str, int]()["missing"]
    with fails("rlhf.reward_failed", kind="KeyError"):
        build_reward(limited, None, CPU)(PROMPTS, RESPONSES)


# --- Sums -------------------------------------------------------------------------


def test_several_judges_are_added_up_by_weight() -> None:
    long = RewardFunction("long", lambda p, r: [len(text) for text in r], weight=0.5)
    fixed = RewardFunction("fixed", lambda p, r: [3.0] * len(r), weight=-2)
    reward = WeightedReward((long, fixed))
    assert reward(PROMPTS, RESPONSES).tolist() == [9 - 6, 3.5 - 6]
    assert [part.tolist() for part in reward.parts(PROMPTS, RESPONSES)] == [[18, 7], [3, 3]]


def test_every_label_is_judged_for_every_prompt() -> None:
    judge = RewardFunction(
        "pairs", lambda p, r: [len(a) * 10 + len(b) for a, b in zip(p, r, strict=True)]
    )
    rewards = WeightedReward((judge,)).of_all(["a", "bb"], ["x", "yy", "zzz"])
    assert rewards.tolist() == [[11, 12, 13], [21, 22, 23]]


def test_each_judge_of_a_sum_is_given_the_columns_that_it_reads() -> None:
    given = RewardFunction("given", lambda p, r, c: c["worth"], weight=2, columns=("worth",))
    fixed = RewardFunction("fixed", lambda p, r: [1.0] * len(r))
    reward = WeightedReward((given, fixed))
    assert reward(PROMPTS, RESPONSES, {"worth": [3, 4]}).tolist() == [7, 9]
    assert reward.of_all(PROMPTS, ["x"], {"worth": [3, 4]}).tolist() == [[7], [9]]
