"""Which prompts are asked when, and the numbers that are chosen for a user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acting import classifier_actor, collected, generator_actor, policy_of
from faults import refused
from tabular import ppo
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.defaults import batches_of, resolve_rl_defaults
from welltuned.rlhf.prompt_splits import PromptSplits, make_actor
from welltuned.runs import Run


class Numbers:
    """Prompts that are their own numbers."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, indices: Any) -> Numbers:
        return Numbers([self.numbers[i] for i in indices])


def batches(prompts: int, **values: Any) -> list[list[int]]:
    asks = PromptSplits(Numbers(list(range(prompts))), None, None, {}, [])
    return [asked.numbers for asked in asks.batches(ppo(**values))]


def test_every_prompt_is_asked_before_one_is_asked_again() -> None:
    found = batches(10, batch_size=4, total_episodes=22)
    assert [len(batch) for batch in found] == [4] * 5  # two episodes make no whole batch
    asked = [number for batch in found for number in batch]
    assert sorted(asked[:10]) == sorted(asked[10:]) == list(range(10))
    assert asked[:10] != asked[10:] and asked[:10] != list(range(10))


def test_the_order_is_a_pure_function_of_the_seed() -> None:
    values: dict[str, Any] = {"batch_size": 4, "total_episodes": 20}
    assert batches(10, **values) == batches(10, **values)
    assert batches(10, **values) != batches(10, **values, seed=1)


def test_few_prompts_fill_a_batch_several_times() -> None:
    [batch] = batches(3, batch_size=8, total_episodes=8)
    assert sorted(Counter(batch).values()) == [2, 3, 3]


def test_a_classifier_is_tested_on_the_whole_split_and_looked_at_on_a_part(
    classified: Callable[..., Run], sentiment: str
) -> None:
    policy = policy_of(classified("full"))
    data = collected(sentiment, policy)
    asks = PromptSplits.of(data, classifier_actor(policy), Ppo(eval_examples=5))
    assert (len(asks.validation), len(asks.test)) == (5, len(data.test))
    assert len(asks.train) == len(data.train) and len(asks.records["test"]) == len(data.test)


def test_a_generator_answers_a_part_of_both(told: Callable[..., Run], stories: str) -> None:
    policy = policy_of(told("full"))
    data = collected(stories, policy)
    asks = PromptSplits.of(data, generator_actor(policy), Ppo(eval_examples=3))
    assert (len(asks.validation), len(asks.test)) == (3, 3) and asks.notes == []


def test_prompts_that_are_cut_are_counted(told: Callable[..., Run], stories: str) -> None:
    policy = policy_of(told("full"))
    policy.manifest = replace(policy.manifest, max_length=14)
    config = Ppo(response_length=12, prompt_length=3)
    asks = PromptSplits.of(collected(stories, policy), make_actor(policy, config), config)
    assert "prompts are too long and lose their beginning" in asks.notes[0]
    assert all(len(ids) == 2 for ids in asks.train.ids)
    with refused("rlhf.response_length_too_large", response_length=14, max_length=14):
        make_actor(policy, Ppo(response_length=14))


def test_every_auto_gets_a_number_and_its_source(classified: Callable[..., Run]) -> None:
    policy = policy_of(classified("lora"))
    config, choices = resolve_rl_defaults(
        Ppo(batch_size=16), policy.strategy, policy.anatomy, policy.problem, 100
    )
    told = {choice.name: (choice.value, choice.source) for choice in choices}
    assert (
        config.total_episodes == 300 and told["rl.total_episodes"][1] == "3 passes over 100 prompts"
    )
    assert batches_of(config) == 18 and config.eval_steps == 2
    assert config.max_kl == 10 == told["rl.max_kl"][0]
    assert config.learning_rate == told["rl.learning_rate"][0] > 0
    lion = Ppo(batch_size=16, optim="lion")
    slower, _ = resolve_rl_defaults(lion, policy.strategy, policy.anatomy, policy.problem, 100)
    assert slower.learning_rate == pytest.approx(0.2 * float(config.learning_rate))
    given = Ppo(batch_size=16, total_episodes=32, learning_rate=1e-3, max_kl=3, eval_steps=7)
    same, choices = resolve_rl_defaults(given, policy.strategy, policy.anatomy, policy.problem, 100)
    assert same.model_dump() == given.model_dump() and choices == []


def test_a_text_may_be_a_whole_batch_of_its_own(classified: Callable[..., Run]) -> None:
    policy = policy_of(classified("lora"))
    config, _ = resolve_rl_defaults(
        Ppo(batch_size=16), policy.strategy, policy.anatomy, policy.problem, 3
    )
    assert config.total_episodes == 16 and batches_of(config) == 1
