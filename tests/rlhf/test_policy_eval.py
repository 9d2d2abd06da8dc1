"""What is said of a policy is the mean of what is thought of its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from acting import classifier_actor, generator_actor, policy_of, story_prompts, texts_of
from welltuned.rlhf import policy_eval
from welltuned.rlhf.policy_eval import PolicyEval, look, look_twice, mean_interval
from welltuned.runs import Run


def evaluated(second: np.ndarray | None = None) -> PolicyEval:
    rewards, kl = np.array([1.0, 3.0]), np.array([0.0, 0.5])
    return PolicyEval(["p", "q"], ["r", "s"], rewards, kl, second, {"length": 4.0})


def letters(prompts: list[str], responses: list[str], columns: Any = None) -> np.ndarray:
    """A reward that anybody can compute: letters of the response, less those of the prompt."""
    pairs = zip(prompts, responses, strict=True)
    return np.array([len(response) - len(prompt) for prompt, response in pairs], dtype=float)


def test_scores_are_means_with_the_facts() -> None:
    assert evaluated().scores() == {"reward": 2.0, "kl": 0.25, "length": 4.0}
    assert evaluated(np.array([4.0, 6.0])).scores()["second_reward"] == 5.0


def test_intervals_stand_around_their_means() -> None:
    scores = evaluated().scores(intervals=True)
    low, high = scores["reward_ci95"]
    assert 1.0 <= low <= scores["reward"] <= high <= 3.0 and low < high
    assert set(scores) == {"reward", "reward_ci95", "kl", "kl_ci95", "length"}


def test_the_interval_of_equal_numbers_is_a_point() -> None:
    assert mean_interval(np.full(8, 2.5)) == [2.5, 2.5]


def test_a_row_has_what_one_response_got() -> None:
    first, _ = evaluated().rows()
    expected = {"prompt": "p", "response": "r", "reward": 1.0, "kl": 0.0, "second_reward": None}
    assert first == expected
    assert evaluated(np.array([4.0, 6.0])).rows()[1]["second_reward"] == 6.0


def test_a_classifier_gives_its_likeliest_labels(
    classified: Callable[..., Run], sentiment: str
) -> None:
    policy = policy_of(classified("lora"))
    actor, texts = classifier_actor(policy), texts_of(policy, sentiment)
    found = look(actor, texts, letters, letters)  # type: ignore[arg-type]
    assert found.outputs_NK is not None and found.prompts == texts.examples.records["text"]
    names = actor.problem.labels
    assert found.responses == [names[i] for i in found.outputs_NK.argmax(axis=1)]
    np.testing.assert_array_equal(found.rewards_N, letters(found.prompts, found.responses))
    np.testing.assert_array_equal(found.second_N, found.rewards_N)


def test_before_anything_is_learned_policy_and_reference_say_the_same(
    classified: Callable[..., Run], sentiment: str
) -> None:
    policy = policy_of(classified("lora"))
    actor, texts = classifier_actor(policy), texts_of(policy, sentiment)
    now, then = look_twice(actor, texts, letters)  # type: ignore[arg-type]
    assert now.responses == then.responses and not now.kl_N.any()
    with torch.no_grad():  # push the policy alone away
        for group in actor.parameter_groups():
            for weight in group.parameters:
                weight.add_(0.3)
    now, then = look_twice(actor, texts, letters)  # type: ignore[arg-type]
    assert (now.kl_N > 0).any() and not then.kl_N.any()


def test_looks_at_a_generator_can_be_compared(told: Callable[..., Run], stories: str) -> None:
    policy = policy_of(told("lora"))
    actor, prompts = generator_actor(policy), story_prompts(policy, stories).take(range(6))
    first, again = (look(actor, prompts, letters) for _ in range(2))  # type: ignore[arg-type]
    assert first.responses == again.responses, "the same draws at every look"
    assert first.facts == again.facts and first.outputs_NK is None
    now, then = look_twice(actor, prompts, letters)  # type: ignore[arg-type]
    assert now.responses == first.responses
    np.testing.assert_allclose(then.kl_N, 0, atol=1e-4)


def test_a_split_in_parts_is_the_split(
    classified: Callable[..., Run], sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policy_of(classified("lora"))
    actor, texts = classifier_actor(policy), texts_of(policy, sentiment)
    whole = look(actor, texts, letters)  # type: ignore[arg-type]
    monkeypatch.setattr(policy_eval, "_PART", 5)
    parts = look(actor, texts, letters)  # type: ignore[arg-type]
    assert parts.prompts == whole.prompts and parts.responses == whole.responses
    assert parts.outputs_NK is not None and whole.outputs_NK is not None
    np.testing.assert_allclose(parts.outputs_NK, whole.outputs_NK, atol=1e-5)
