"""What roles weigh, and what they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import welltuned as wt
from acting import classifier_actor, policy_of
from support import STRATEGIES, strategy_of
from tabular import ppo
from welltuned.rlhf.learner import Learner
from welltuned.rlhf.weight_sharing import roles, share_weights
from welltuned.runs import Run


def weight_of(module: torch.nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


def test_a_judge_on_the_policys_backbone_keeps_one_copy_of_it(
    classified: Callable[..., Run],
) -> None:
    policy = policy_of(classified("lora"))
    predictor = wt.load(classified("houlsby"))  # another method on the same pretrained model
    texts = ["the film was good", "a cold room"]
    before = predictor.outputs(predictor.problem.codec.records_of(texts))
    learner = Learner.of(classifier_actor(policy), ppo(learning_rate=1e-2), 1)
    apart = roles(learner, [predictor.model])["reward"]
    saved = share_weights(policy.model, [predictor.model])
    together = roles(learner, [predictor.model])["reward"]
    # Buffers such as position numbers are few, and stay.
    assert apart - saved == together and saved > 0.5 * apart
    np.testing.assert_array_equal(
        predictor.outputs(predictor.problem.codec.records_of(texts)), before
    )
    assert share_weights(policy.model, [predictor.model]) == 0  # nothing is left to share
    # What the policy learns is not shared: the judge stays as it is.
    with torch.no_grad():
        for group in learner.groups:
            for parameter in group.parameters:
                parameter.add_(1.0)
    np.testing.assert_array_equal(
        predictor.outputs(predictor.problem.codec.records_of(texts)), before
    )


def test_a_policy_that_trains_whole_shares_nothing(classified: Callable[..., Run]) -> None:
    policy = policy_of(classified("lora"), strategy_of(STRATEGIES["full"]))
    assert share_weights(policy.model, [wt.load(classified("houlsby")).model]) == 0


def test_roles_are_counted_once(classified: Callable[..., Run]) -> None:
    policy = policy_of(classified("full"))
    learner = Learner.of(classifier_actor(policy), ppo(learning_rate=1e-2), 1)
    found = roles(learner, [])
    trained = weight_of(policy.model)
    assert found["policy"] >= trained
    assert found["reference"] == trained  # a real copy: everything trains
    assert found["value"] == weight_of(learner.actor.value) == 4 * 33
    assert found["gradients and optimizer"] == 3 * (trained + found["value"])
    assert found["reward"] == 0
