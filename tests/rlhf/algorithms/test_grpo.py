"""GRPO against its formulas, written out, and against closed forms on a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rollouts import KL_COEF, LENGTHS, SCORES, recorded, some_of
from tabular import BEST, BETA, REFERENCES, REWARDS, distance, learn
from welltuned.rlhf.algorithms.grpo import Grpo

ALL = torch.arange(6)
BANDIT: dict[str, Any] = {
    "learning_rate": 0.1,
    "kl_coef": BETA,
    "batch_size": 300,
    "per_device_train_batch_size": 300,
    "num_generations": 10,
    "max_grad_norm": 0,
}


def of(**values: Any) -> Grpo:
    known = {"batch_size": 6, "num_generations": 3, "response_length": 5}
    return Grpo.model_validate({**known, **values})


def written_out(algorithm: Grpo) -> float:
    """The loss as the papers have it, response by response and token by token."""
    rollout, estimates = recorded()
    old, now, reference = (
        tensor.detach().numpy()
        for tensor in (rollout.logprobs_BT, estimates.logprobs_BT, rollout.references_BT)
    )
    rewards, lengths = SCORES.numpy().copy(), LENGTHS.tolist()
    if algorithm.kl_in == "reward":
        rewards -= [KL_COEF * (old[i] - reference[i])[:n].sum() for i, n in enumerate(lengths)]
    losses = []
    for i, length in enumerate(lengths):
        group = rewards[3 * (i // 3) : 3 * (i // 3) + 3]
        spread = {"group": group.std(ddof=1), "batch": rewards.std(ddof=1)}
        advantage = rewards[i] - group.mean()
        if algorithm.scale_rewards != "none":
            advantage /= spread[algorithm.scale_rewards] + 1e-4
        high = algorithm.epsilon_high or algorithm.epsilon
        tokens = []
        for t in range(length):
            ratio = np.exp(now[i, t] - old[i, t])
            clipped = min(max(ratio, 1 - algorithm.epsilon), 1 + high)
            tokens.append(-min(ratio * advantage, clipped * advantage))
            if algorithm.kl_in == "loss":
                d = reference[i, t] - now[i, t]
                tokens[-1] += KL_COEF * (np.exp(d) - d - 1)
        losses.append(tokens)
    if algorithm.loss_type == "grpo":
        return float(np.mean([np.mean(tokens) for tokens in losses]))
    if algorithm.loss_type == "bnpo":
        return float(np.mean([loss for tokens in losses for loss in tokens]))
    return sum(map(sum, losses)) / (len(losses) * algorithm.response_length)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"loss_type": "bnpo", "scale_rewards": "batch"},
        {"loss_type": "dr_grpo", "scale_rewards": "none"},
        {"epsilon": 0.1, "epsilon_high": 0.28},
        {"loss_type": "dr_grpo", "kl_in": "reward"},
        {"loss_type": "bnpo", "scale_rewards": "none", "kl_in": "reward"},
    ],
    ids=["paper", "bnpo-batch", "dr_grpo", "dapo-clip", "dr_grpo-kl-in-reward", "bnpo-none"],
)
def test_the_loss_is_the_formula_however_a_minibatch_is_cut(values: dict[str, Any]) -> None:
    algorithm, (rollout, estimates) = of(**values), recorded()
    experience = algorithm.experience(rollout, SCORES, KL_COEF)
    divisor = algorithm.divisor(rollout, ALL)
    whole = algorithm.loss(experience, estimates, ALL)
    assert whole["loss"].item() / divisor == pytest.approx(written_out(algorithm), abs=1e-6)
    parts = [
        algorithm.loss(experience, some_of(estimates, rows), rows)
        for rows in (ALL[:1], ALL[1:4], ALL[4:])
    ]
    for name, value in whole.items():
        together = sum(part[name].item() for part in parts)
        assert together == pytest.approx(value.item(), abs=1e-9), name
    assert whole["clip_fraction"].item() > 0


def test_equal_scores_teach_nothing_and_are_counted() -> None:
    algorithm, (rollout, estimates) = of(kl_coef=0.0), recorded()
    scores = torch.tensor([1.0, 1.0, 1.0, 0.0, 2.0, 4.0], dtype=torch.float64)
    experience = algorithm.experience(rollout, scores, 0.0)
    assert algorithm.facts(experience) == {"equal_groups": 0.5}
    loss = algorithm.loss(experience, estimates, ALL)["loss"]
    (gradient,) = torch.autograd.grad(loss, estimates.logprobs_BT)
    assert not gradient[:3].any() and gradient[3:].any()


def test_with_the_divergence_in_the_reward_it_reaches_the_known_optimum_of_a_bandit() -> None:
    """π* ∝ π_ref · e^(r/β), as every method whose reward pays for its divergence."""
    learner, stats = learn(100, 300, algorithm=Grpo(**BANDIT, scale_rewards="none", kl_in="reward"))
    assert distance(learner) < 2e-2
    assert learner.groups == learner.policy_groups and "kl_loss" not in stats[0].own
    assert stats[-1].kl > 0.5


def loss_optimum(size: int) -> torch.Tensor:
    """Where the gradients of reward and k3 balance: π = β' · π_ref / (λ − r), which sums to 1.

    A group's mean holds the response itself, which shortens its gradient by (G − 1)/G; that of k3
    is π − π_ref. So β' = β · G/(G − 1), and λ > max r is found by bisection.
    """
    beta, references = BETA * size / (size - 1), REFERENCES.double().softmax(-1)
    low = REWARDS.double().amax(-1, keepdim=True)
    high = low + beta
    for _ in range(60):
        middle = (low + high) / 2
        too_much = (beta * references / (middle - REWARDS)).sum(-1, keepdim=True) > 1
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    return beta * references / (high - REWARDS)


def test_with_the_divergence_in_the_loss_it_reaches_another_one() -> None:
    learner, _ = learn(100, 300, algorithm=Grpo(**BANDIT, scale_rewards="none"))
    actor: Any = learner.actor
    policy, wanted = actor.policy_SK.exp().detach(), loss_optimum(10)
    assert float((wanted.sum(-1) - 1).abs().max()) < 1e-9
    assert float((policy - wanted).abs().max()) < 2e-2
    assert float((wanted - BEST.exp()).abs().max()) > 0.05  # they can be told apart


def worth(learner: Any) -> float:
    """The mean reward of a policy on the table."""
    return float((learner.actor.policy_SK.exp() * REWARDS).sum(-1).mean().detach())


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo"])
def test_a_reward_turned_around_leads_the_other_way(loss_type: Any) -> None:
    """The negative control, as its paper has it."""
    algorithm = Grpo(**BANDIT, loss_type=loss_type)
    learned, stats = learn(30, 300, algorithm=algorithm)
    turned, _ = learn(30, 300, -REWARDS, algorithm=algorithm)
    start = float((REFERENCES.softmax(-1) * REWARDS).sum(-1).mean())
    assert worth(learned) > start + 0.2 and worth(turned) < start - 0.2
    assert stats[-1].own["kl_loss"] > 0
