"""A small generator learns what it is rewarded for, and only that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from acting import generator_actor, policy_of, story_prompts
from tabular import ppo
from welltuned.rlhf.learner import Learner, Stats, step
from welltuned.rlhf.policy import Policy
from welltuned.rlhf.prompts import Prompts
from welltuned.runs import Run

WORD, LENGTH, TARGET = "good", 4, 25.0


def likely(policy: Policy, prompts: Prompts) -> float:
    """The mean probability that a response begins with the word."""
    token = policy.tokenizer.convert_tokens_to_ids(WORD)
    with torch.no_grad():
        logits = [policy.model(torch.tensor([ids])).logits[0, -1] for ids in prompts.ids]
    return float(torch.stack(logits).softmax(-1)[:, token].mean())


def learn(run: Run, stories: str, sign: int, sharper: float = 1.0, **values: Any) -> list[Stats]:
    """Fourteen batches with a reward for (or against) every `good` in four tokens."""
    return taught(policy_of(run), stories, sign, sharper, **values)


def taught(
    policy: Policy, stories: str, sign: int, sharper: float = 1.0, **values: Any
) -> list[Stats]:
    """`sharper` multiplies the logits of the model, and so of its reference, from the start."""
    with torch.no_grad():
        policy.model.get_output_embeddings().weight.mul_(sharper)
    settings = {
        "learning_rate": 1e-2,
        "batch_size": 32,
        "per_device_train_batch_size": 32,
        "kl_coef": 0.02,
        "kl_target": TARGET,
        "value_learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
    }
    config = ppo(**{**settings, **values})
    learner = Learner.of(generator_actor(policy, 1.0, LENGTH), config, 14)
    prompts = story_prompts(policy, stories)
    found = []
    for batch in range(14):
        rows = [(32 * batch + i) % len(prompts) for i in range(32)]
        rollout = learner.rollout(prompts.take(rows))
        scores = [sign * said.split().count(WORD) / LENGTH for said in rollout.responses]
        found.append(step(learner, rollout, np.array(scores)))
    return found


def test_a_rewarded_word_is_learned_while_the_divergence_stays_under_its_target(
    told: Callable[..., Run], stories: str
) -> None:
    found = learn(told("full"), stories, +1)
    assert found[0].reward < 0.1
    assert max(stats.reward for stats in found) > 0.9
    assert max(stats.kl for stats in found) < TARGET
    assert found[-1].entropy < 0.5 * found[0].entropy


def test_a_reward_turned_around_goes_the_other_way(told: Callable[..., Run], stories: str) -> None:
    """The negative control: what was learned is unlearned, with no pull towards the reference."""
    policy = policy_of(told("full"))
    prompts = story_prompts(policy, stories)
    taught(policy, stories, +1)
    learned = likely(policy, prompts)
    assert learned > 0.5
    taught(policy, stories, -1, kl_coef=0.0, kl_target=None)
    assert likely(policy, prompts) < learned / 10


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["lora", "partial", "prefix", "houlsby"])
def test_every_kind_of_strategy_learns_it(
    strategy: str, told: Callable[..., Run], stories: str
) -> None:
    """The head is frozen here, and one of noise with normalised input bounds the logits so
    tightly that no block could make it prefer a word: hence the sharper one."""
    values = {"learning_rate": 3e-2, "kl_coef": 0.0, "kl_target": None}
    found = learn(told(strategy), stories, +1, sharper=8.0, **values)
    assert found[-1].reward > found[0].reward + 0.5
