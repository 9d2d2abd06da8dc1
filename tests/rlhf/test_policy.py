"""From every kind of supervised run to a policy, its reference and its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from acting import CPU, classifier_actor, generator_actor, policy_of, story_prompts, texts_of
from faults import refused
from support import STRATEGIES, strategy_of
from tabular import ppo
from welltuned.artifact.manifest import ArtifactManifest
from welltuned.models.quantization import held_tensors
from welltuned.rlhf.actors.base import Actor
from welltuned.rlhf.learner import Learner, require_reference, step
from welltuned.rlhf.policy import from_run
from welltuned.rlhf.reference import AdapterOff, InitialWeights
from welltuned.runs import Run

WHOLE = ("full", "partial", "head", "gradual")
CONFIG = ppo(learning_rate=1e-2, batch_size=8, per_device_train_batch_size=3)


def learn_once(actor: Actor, asked: Any) -> float:
    """Everything that holds before, in and after a batch; returns how far the policy went."""
    learner = Learner.of(actor, CONFIG, 2)
    before = {name: weight.clone() for name, weight in actor.model.named_parameters()}
    trains = {id(weight) for group in learner.groups for weight in group.parameters}
    first = learner.rollout(asked)
    require_reference(actor, first)
    step(learner, first, np.linspace(-1, 1, 8))
    for name, weight in actor.model.named_parameters():
        assert id(weight) in trains or torch.equal(weight, before[name]), name
    with torch.no_grad(), actor.reference.acting():
        again = actor.judge(first, torch.arange(8))
    torch.testing.assert_close(again.logprobs_BT, first.references_BT, rtol=0, atol=1e-6)
    assert all(not module.training for module in actor.model.modules())
    head: Any = actor.value
    assert bool(head.linear.weight.any())  # it began at zero, and learns too
    second = learner.rollout(asked)
    torch.testing.assert_close(
        actor.judge(second, torch.arange(8)).logprobs_BT.detach(),
        second.logprobs_BT,
        rtol=0,
        atol=1e-5,
    )
    return float((second.logprobs_BT - second.references_BT).abs().max())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_o1_a_classifier_of_any_strategy_goes_on_learning(
    strategy: str, classified: Callable[..., Run], sentiment: str
) -> None:
    """One backbone: ratio 1 and divergence 0 at first; the reference stays where it was."""
    policy = policy_of(classified(strategy))
    assert isinstance(policy.reference, InitialWeights)
    assert learn_once(classifier_actor(policy), texts_of(policy, sentiment, 8)) > 1e-3


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "head"])
def test_o1_a_generator_of_any_strategy_goes_on_learning(
    strategy: str, told: Callable[..., Run], stories: str
) -> None:
    policy = policy_of(told(strategy))
    actor = generator_actor(policy)
    assert learn_once(actor, story_prompts(policy, stories).take(range(8))) > 1e-4
    assert actor.agrees


@pytest.mark.parametrize("adapter", ["lora", "houlsby", "parallel"])
def test_a_new_adapter_on_whole_weights_has_the_model_without_it_as_reference(
    adapter: str, classified: Callable[..., Run], sentiment: str
) -> None:
    run = classified("full")
    policy = policy_of(run, strategy_of(STRATEGIES[adapter]))
    assert isinstance(policy.reference, AdapterOff) and policy.reference.bytes == 0
    assert policy.manifest.base.name == str(run.model.resolve())
    assert policy.manifest.origin.new == ()
    assert learn_once(classifier_actor(policy), texts_of(policy, sentiment, 8)) > 1e-3


def test_an_adapter_that_is_switched_off_trains_on_afterwards(
    classified: Callable[..., Run],
) -> None:
    policy = policy_of(classified("full"), strategy_of(STRATEGIES["lora"]))
    before = [weight.requires_grad for weight in policy.model.parameters()]
    for failing in (False, True):
        try:
            with policy.reference.acting():
                if failing:
                    raise KeyError
        except KeyError:
            pass
        assert [weight.requires_grad for weight in policy.model.parameters()] == before
        assert policy.model.active_adapters == ["default"]
        layers = [m for m in policy.model.modules() if isinstance(m, BaseTunerLayer)]
        assert layers and not any(layer.disable_adapters for layer in layers)


def test_first_weights_come_back_whatever_happens() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    reference = InitialWeights([weight])
    with torch.no_grad():
        weight.add_(1)
    with pytest.raises(KeyError), reference.acting():
        assert weight.tolist() == [0, 0, 0]
        raise KeyError
    assert weight.tolist() == [1, 1, 1] and reference.bytes == 12


def test_whole_weights_share_what_is_frozen_with_their_reference(
    classified: Callable[..., Run],
) -> None:
    whole = policy_of(classified("full")).reference.bytes
    top = policy_of(classified("partial")).reference.bytes
    head = policy_of(classified("head")).reference.bytes
    assert whole > top > 100 * head > 0


def test_lora_is_merged_before_whole_weights_train(
    classified: Callable[..., Run], sentiment: str
) -> None:
    run = classified("lora")
    policy = policy_of(run, strategy_of(STRATEGIES["full"]))
    assert not hasattr(policy.model, "get_base_model")
    merged, kept = classifier_actor(policy), classifier_actor(policy_of(run))
    texts = texts_of(policy, sentiment, 8)
    both = [actor.rollout(texts, torch.Generator()).all_logprobs_BK for actor in (merged, kept)]
    torch.testing.assert_close(*both, rtol=0, atol=1e-5)
    assert learn_once(merged, texts) > 1e-3


# --- What cannot be ---------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["prompt", "prefix"])
def test_a_new_prompt_would_not_start_from_the_sft_model(
    strategy: str, classified: Callable[..., Run]
) -> None:
    with refused("rlhf.strategy_starts_changed", strategy=strategy):
        policy_of(classified("full"), strategy_of(STRATEGIES[strategy]))


def test_an_adapter_goes_on_as_it_is_or_not_at_all(classified: Callable[..., Run]) -> None:
    with refused("rlhf.adapter_options_differ", option="r", sft=4, rl=16):
        policy_of(classified("lora"), strategy_of({"type": "lora", "r": 16}))
    with refused("rlhf.adapter_options_differ", option="type", sft="lora", rl="adapter"):
        policy_of(classified("lora"), strategy_of({"type": "adapter"}))
    rates = {"loraplus_lr_ratio": 4, "head_learning_rate_scale": 3}
    policy_of(classified("lora"), strategy_of({**STRATEGIES["lora"], **rates}))


def test_what_cannot_be_merged_cannot_train_whole(classified: Callable[..., Run]) -> None:
    with refused("strategy.cannot_merge", strategy="prefix"):
        policy_of(classified("prefix"), strategy_of({"type": "full"}))


def test_a_run_goes_on_with_the_base_of_its_adapter_in_few_bits(
    classified: Callable[..., Run],
) -> None:
    pytest.importorskip("bitsandbytes")
    run = classified("lora")
    policy = from_run(run.model, ArtifactManifest.read(run.model).strategy, CPU, 0, "int8")
    assert policy.manifest.base.quantization == "int8"
    kinds = {tensor.dtype for tensor in held_tensors(policy.model) if not tensor.requires_grad}
    assert torch.int8 in kinds
    assert all(w.dtype == torch.float32 for w in policy.model.parameters() if w.requires_grad)
    assert policy_of(run).manifest.base.quantization is None


def test_a_new_adapter_lies_on_whole_weights_in_few_bits(classified: Callable[..., Run]) -> None:
    pytest.importorskip("bitsandbytes")
    run, lora = classified("full"), strategy_of(STRATEGIES["lora"])
    policy = from_run(run.model, lora, CPU, 0, "int8")
    base = policy.manifest.base
    assert (base.name, base.quantization) == (str(run.model.resolve()), "int8")
    assert torch.int8 in {tensor.dtype for tensor in held_tensors(policy.model)}
    assert policy.manifest.origin == policy_of(run, lora).manifest.origin, "of the run as it is"
