"""Frozen blocks run once a batch, whoever acts, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from acting import classifier_actor, generator_actor, policy_of, story_prompts, texts_of
from welltuned.rlhf.actors.base import Actor


def gradients(actor: Actor, rollout: Any) -> list[torch.Tensor]:
    actor.model.zero_grad()
    judged = actor.judge(rollout, torch.tensor([5, 0, 3]), entropy=True)
    assert judged.entropies_BT is not None
    (judged.logprobs_BT.sum() + judged.entropies_BT.sum()).backward()
    return [weight.grad for weight in actor.model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_gradients_are_those_of_whole_passes(
    task: str, classified: Any, told: Any, sentiment: str, stories: str
) -> None:
    policy = policy_of((classified if task == "classification" else told)("partial"))
    actor: Actor
    asked: Any
    if task == "classification":
        actor, asked = classifier_actor(policy), texts_of(policy, sentiment, 8)
    else:
        actor = generator_actor(policy)
        asked = story_prompts(policy, stories).take(range(8))
    rollout = actor.rollout(asked, torch.Generator().manual_seed(0))
    assert rollout.states is not None
    short, whole = gradients(actor, rollout), gradients(actor, replace(rollout, states=None))
    assert len(short) == len(whole) > 4
    for one, other in zip(short, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
