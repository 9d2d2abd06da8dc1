"""Frozen blocks run once a batch, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from acting import classifier_actor, generator_actor, policy_of, story_prompts, texts_of
from support import STRATEGIES, build, encode, logits
from welltuned.models.frozen_trunk import Boundary, frozen_blocks
from welltuned.rlhf.actors.base import Actor
from welltuned.runs import Run

FAMILIES = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert", "gpt2", "llama", "gemma2")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_pass_that_resumes_gives_what_a_whole_one_gives(
    family: str, blocks: int, tiny: Callable[..., str]
) -> None:
    """Bit for bit, for families whose masks depend on a block's number too."""
    folder = tiny(family)
    model, anatomy, _ = build(folder, {"type": "partial", "num_blocks": blocks})
    batch = encode(folder, ["good film", "the film was very good and the room was cold " * 3])
    boundary = Boundary.of(model, anatomy)
    assert boundary is not None and boundary.blocks == anatomy.num_blocks - blocks
    whole = logits(model, batch)
    with boundary.noted() as noted:
        logits(model, batch)
    called: list[str] = []
    lower = frozen_blocks(model, anatomy)[0]
    hook = next(lower.children()).register_forward_hook(lambda *_: called.append("lower"))
    with boundary.resumed(noted[0]):
        again = logits(model, batch)
    assert not called
    assert torch.equal(again, whole)
    with boundary.resumed(noted[0] * 0):
        assert not torch.equal(logits(model, batch), whole)
    hook.remove()
    assert torch.equal(logits(model, batch), whole)  # and afterwards all is as before


@pytest.mark.parametrize("strategy", ["full", "prompt", "prefix", "lora", "houlsby"])
def test_where_the_lowest_block_trains_nothing_is_kept(
    strategy: str, tiny: Callable[..., str]
) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES[strategy])
    assert Boundary.of(model, anatomy) is None


def test_lora_in_the_upper_blocks_alone_leaves_the_lower_ones_frozen(
    tiny: Callable[..., str],
) -> None:
    strategy = {"type": "lora", "r": 2, "target_modules": ["query"], "layers_to_transform": [3]}
    model, anatomy, _ = build(tiny("bert"), strategy)
    boundary = Boundary.of(model, anatomy)
    assert boundary is not None and boundary.blocks == 3


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
    from dataclasses import replace

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


def test_an_interrupted_pass_leaves_the_blocks_as_they_were(classified: Callable[..., Run]) -> None:
    policy = policy_of(classified("partial"))
    boundary = Boundary.of(policy.model, policy.anatomy)
    assert boundary is not None
    with pytest.raises(KeyError), boundary.resumed(torch.zeros(1, 1, 32)):
        raise KeyError
    blocks = frozen_blocks(policy.model, policy.anatomy)
    assert blocks and all("forward" not in vars(block) for block in blocks)
