"""RLOO against its formula, written out, and against the closed form on a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rollouts import KL_COEF, LENGTHS, SCORES, recorded, some_of
from tabular import BETA, REWARDS, distance, learn
from welltuned.rlhf.algorithms.rloo import Rloo

ALL = torch.arange(6)


def of(**values: Any) -> Rloo:
    return Rloo.model_validate({"batch_size": 6, "num_generations": 3, **values})


def written_out(epsilon: float, high: float) -> tuple[float, list[bool]]:
    """The mean loss of whole responses, and which of them are clipped."""
    rollout, estimates = recorded()
    old, now, reference = (
        tensor.detach().numpy()
        for tensor in (rollout.logprobs_BT, estimates.logprobs_BT, rollout.references_BT)
    )
    lengths = LENGTHS.tolist()
    rewards = [
        float(SCORES[i]) - KL_COEF * (old[i, :n] - reference[i, :n]).sum()
        for i, n in enumerate(lengths)
    ]
    losses, clipped = [], []
    for i, n in enumerate(lengths):
        others = [rewards[j] for j in range(6) if j // 3 == i // 3 and j != i]
        advantage = rewards[i] - np.mean(others)
        ratio = np.exp(now[i, :n].sum() - old[i, :n].sum())
        bound = min(max(ratio, 1 - epsilon), 1 + high)
        losses.append(-min(ratio * advantage, bound * advantage))
        clipped.append(bool(ratio * advantage > bound * advantage))
    return float(np.mean(losses)), clipped


@pytest.mark.parametrize(("epsilon", "high"), [(0.2, None), (0.05, 0.5)])
def test_the_loss_is_the_formula_however_a_minibatch_is_cut(
    epsilon: float, high: float | None
) -> None:
    algorithm, (rollout, estimates) = of(epsilon=epsilon, epsilon_high=high), recorded()
    experience = algorithm.experience(rollout, SCORES, KL_COEF)
    whole = algorithm.loss(experience, estimates, ALL)
    wanted, clipped = written_out(epsilon, high or epsilon)
    assert whole["loss"].item() / algorithm.divisor(rollout, ALL) == pytest.approx(wanted, abs=1e-6)
    tokens = sum(length for length, cut in zip(LENGTHS.tolist(), clipped, strict=True) if cut)
    assert whole["clip_fraction"].item() == tokens > 0
    parts = [algorithm.loss(experience, some_of(estimates, rows), rows) for rows in ALL.split(4)]
    for name, value in whole.items():
        assert sum(part[name].item() for part in parts) == pytest.approx(value.item(), abs=1e-9)


def test_the_first_gradient_is_that_of_reinforce() -> None:
    """At ratio 1: minus each response's advantage, at every one of its tokens."""
    rollout, estimates = recorded()
    now = rollout.logprobs_BT.clone().requires_grad_()
    experience = of().experience(rollout, SCORES, KL_COEF)
    loss = of().loss(experience, type(estimates)(now, estimates.values_BT), ALL)["loss"]
    (gradient,) = torch.autograd.grad(loss, now)
    wanted = -experience.advantages_B.unsqueeze(1) * rollout.mask_BT
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("sign", [1, -1])
def test_it_reaches_the_known_optimum_of_a_bandit_and_not_with_its_reward_turned(sign: int) -> None:
    algorithm = Rloo(
        learning_rate=0.1, kl_coef=BETA, batch_size=300, per_device_train_batch_size=300,
        max_grad_norm=0,
    )  # fmt: skip
    learner, stats = learn(100, 300, sign * REWARDS, algorithm=algorithm)
    assert (distance(learner) < 2e-2) == (sign > 0)
    assert sign > 0 or distance(learner) > 0.1
    assert learner.groups == learner.policy_groups and "clip_fraction" in stats[0].own
