"""The whole computation of a PPO batch, derived again in plain Python and held against ours.

What is written out here, number by number, is the computation of the single-file
implementations that people compare with ("The N+ Implementation Details of RLHF with PPO",
arXiv 2403.17031, and the trainer that grew out of it): rewards, advantages, returns, losses
and their gradients. They put a response's score one token after its end where there is
room, and value that token; `late` is that convention, ours is the other.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tabular import ppo
from welltuned.rlhf.actors.base import Rollout, TokenEstimates
from welltuned.rlhf.algorithms.advantages import gae, masked_mean, token_rewards, whiten
from welltuned.rlhf.algorithms.losses import policy_losses, value_losses
from welltuned.rlhf.kl import k1

B, T = 4, 6
LENGTHS = [6, 2, 4, 1]
BETA, GAMMA, LAM, CLIP, CLIP_VALUE, VF = 0.05, 0.97, 0.9, 0.2, 0.15, 0.1
Rows = list[list[float]]


def recorded() -> dict[str, torch.Tensor]:
    """What a run would have noted, and what the policy thinks a few steps later (float64)."""
    generator = torch.Generator().manual_seed(11)

    def noise(scale: float, *shape: int) -> torch.Tensor:
        return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)

    old = -2 + noise(0.5, B, T)
    values = noise(1.0, B, T)
    return {
        "logprobs": old,
        "references": old + noise(0.3, B, T),
        "values": values,
        "scores": noise(1.5, B),
        "new_logprobs": old + noise(0.5, B, T),
        "new_values": values + noise(0.2, B, T),
    }


# --- The published computation, in plain Python ---------------------------------


def whitened(rows: Rows, valid: list[list[bool]], shift: bool) -> Rows:
    flat = [
        x for row, ok in zip(rows, valid, strict=True) for x, v in zip(row, ok, strict=True) if v
    ]
    mean = sum(flat) / len(flat)
    variance = sum((x - mean) ** 2 for x in flat) / (len(flat) - 1)
    scale = 1 / math.sqrt(variance + 1e-8)
    return [
        [
            ((x - mean) * scale + (0 if shift else mean)) if v else 0.0
            for x, v in zip(row, ok, strict=True)
        ]
        for row, ok in zip(rows, valid, strict=True)
    ]


def experience(data: dict[str, Any], late: bool, whiten_rewards: bool) -> dict[str, Any]:
    """Rewards, advantages (whitened), returns, and which tokens count, as lists."""
    extra = 1 if late else 0
    spoken = [[t < n for t in range(T)] for n in LENGTHS]
    valued = [[t < n + extra for t in range(T)] for n in LENGTHS]
    ends = [min(n - 1 + extra, T - 1) for n in LENGTHS]
    logprobs, references = data["logprobs"].tolist(), data["references"].tolist()
    values = [
        [v if ok else 0.0 for v, ok in zip(row, valid, strict=True)]
        for row, valid in zip(data["values"].tolist(), valued, strict=True)
    ]
    rewards = [
        [-BETA * (logprobs[b][t] - references[b][t]) if spoken[b][t] else 0.0 for t in range(T)]
        for b in range(B)
    ]
    for b in range(B):
        rewards[b][ends[b]] += float(data["scores"][b])
    if whiten_rewards:
        rewards = whitened(rewards, valued, shift=False)
    raw: Rows = [[0.0] * T for _ in range(B)]
    for b in range(B):
        running = 0.0
        for t in reversed(range(T)):
            following = values[b][t + 1] if t < T - 1 else 0.0
            delta = rewards[b][t] + GAMMA * following - values[b][t]
            running = delta + GAMMA * LAM * running
            raw[b][t] = running
    returns = [
        [a + v for a, v in zip(*pair, strict=True)] for pair in zip(raw, values, strict=True)
    ]
    return {
        "rewards": rewards,
        "advantages": whitened(raw, spoken, shift=True),
        "returns": returns,
        "values": values,
        "spoken": spoken,
        "valued": valued,
        "ends": ends,
    }


def losses(data: dict[str, Any], known: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """The two losses of a minibatch, their sum, and the gradients for what the policy says now."""
    new, old = data["new_logprobs"].tolist(), data["logprobs"].tolist()
    values = data["new_values"].tolist()
    spoken = [(b, t) for b in rows for t in range(T) if known["spoken"][b][t]]
    valued = [(b, t) for b in rows for t in range(T) if known["valued"][b][t]]
    by_logprob, by_value = torch.zeros(B, T).double(), torch.zeros(B, T).double()
    policy = value = 0.0
    for b, t in spoken:
        a, ratio = known["advantages"][b][t], math.exp(new[b][t] - old[b][t])
        plain, clipped = -a * ratio, -a * min(max(ratio, 1 - CLIP), 1 + CLIP)
        policy += max(plain, clipped) / len(spoken)
        if plain >= clipped:
            by_logprob[b, t] = -a * ratio / len(spoken)
    for b, t in valued:
        v, was, target = values[b][t], known["values"][b][t], known["returns"][b][t]
        near = min(max(v, was - CLIP_VALUE), was + CLIP_VALUE)
        value += 0.5 * max((v - target) ** 2, (near - target) ** 2) / len(valued)
        if (v - target) ** 2 >= (near - target) ** 2:
            by_value[b, t] = VF * (v - target) / len(valued)
    return {
        "policy": policy,
        "value": value,
        "loss": policy + VF * value,
        "by_logprob": by_logprob,
        "by_value": by_value,
    }


# --- Ours -----------------------------------------------------------------------


def close(ours: torch.Tensor, theirs: Any) -> None:
    wanted = torch.as_tensor(theirs, dtype=torch.float64)
    torch.testing.assert_close(ours.detach(), wanted, rtol=0, atol=1e-6)


def rollout_of(data: dict[str, Any]) -> Rollout:
    mask = torch.arange(T) < torch.tensor(LENGTHS).unsqueeze(1)

    def held(name: str) -> torch.Tensor:
        return data[name].masked_fill(~mask, 0)

    return Rollout(
        prompts=[""] * B,
        responses=[""] * B,
        inputs={},
        actions_BT=mask.long(),
        mask_BT=mask,
        logprobs_BT=held("logprobs"),
        references_BT=held("references"),
        values_BT=held("values"),
        entropies_BT=mask.double(),
        ended_B=torch.ones(B, dtype=torch.bool),
    )


CONFIG: dict[str, Any] = {
    "gamma": GAMMA,
    "lam": LAM,
    "cliprange": CLIP,
    "cliprange_value": CLIP_VALUE,
    "vf_coef": VF,
}


@pytest.mark.parametrize("whiten_rewards", [False, True])
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 3], [1, 2]])
def test_our_batch_is_the_published_one_with_the_score_at_the_last_token(
    rows: list[int], whiten_rewards: bool
) -> None:
    data = recorded()
    theirs = experience(data, late=False, whiten_rewards=whiten_rewards)
    config, rollout = ppo(**CONFIG, whiten_rewards=whiten_rewards), rollout_of(data)
    ours = config.experience(rollout, data["scores"], BETA)
    close(ours.rewards_BT, theirs["rewards"])
    close(ours.advantages_BT, theirs["advantages"])
    close(ours.returns_BT, theirs["returns"])

    wanted, chosen = losses(data, theirs, rows), torch.tensor(rows)
    new = data["new_logprobs"].clone().requires_grad_()
    values = data["new_values"].clone().requires_grad_()
    sums = config.loss(ours, TokenEstimates(new[chosen], values[chosen]), chosen)
    count = int(rollout.mask_BT[chosen].sum())
    (sums["loss"] / count).backward()
    close(sums["policy_loss"] / count, wanted["policy"])
    close(sums["value_loss"] / count, wanted["value"])
    close(sums["loss"] / count, wanted["loss"])
    close(new.grad, wanted["by_logprob"])  # type: ignore[arg-type]
    close(values.grad, wanted["by_value"])  # type: ignore[arg-type]
    assert 0 < float(sums["clip_fraction"]) < count  # the clipping was put to the test


@pytest.mark.parametrize("whiten_rewards", [False, True])
def test_o11_our_functions_compute_the_published_convention_too(whiten_rewards: bool) -> None:
    """Aligned for curves to be compared: the score at the end + 1, that token valued."""
    data = recorded()
    theirs = experience(data, late=True, whiten_rewards=whiten_rewards)
    spoken, valued = torch.tensor(theirs["spoken"]), torch.tensor(theirs["valued"])
    kl = k1(data["logprobs"], data["references"]).masked_fill(~spoken, 0)
    rewards = token_rewards(kl, data["scores"], torch.tensor(theirs["ends"]), BETA)
    if whiten_rewards:
        rewards = whiten(rewards, valued, shift_mean=False)
    values = data["values"].masked_fill(~valued, 0)
    raw = gae(rewards, values, GAMMA, LAM)
    close(rewards, theirs["rewards"])
    close(whiten(raw, spoken), theirs["advantages"])
    close(raw + values, theirs["returns"])

    wanted = losses(data, theirs, list(range(B)))
    new = data["new_logprobs"].clone().requires_grad_()
    now = data["new_values"].clone().requires_grad_()
    policy = masked_mean(policy_losses(new, data["logprobs"], whiten(raw, spoken), CLIP), spoken)
    value = masked_mean(value_losses(now, values, raw + values, CLIP_VALUE), valued)
    (policy + VF * value).backward()
    close(policy + VF * value, wanted["loss"])
    close(new.grad, wanted["by_logprob"])  # type: ignore[arg-type]
    close(now.grad, wanted["by_value"])  # type: ignore[arg-type]
    ours = experience(data, late=False, whiten_rewards=whiten_rewards)
    assert ours["advantages"] != theirs["advantages"]  # the two conventions do differ
