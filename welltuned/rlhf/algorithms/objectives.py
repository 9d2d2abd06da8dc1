"""What a batch teaches: from scores to advantages, and from those to a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from welltuned.rlhf.actors.base import Rollout, TokenEstimates
from welltuned.rlhf.algorithms.advantages import gae, last_tokens, token_rewards, whiten
from welltuned.rlhf.algorithms.losses import (
    exact_losses,
    is_clipped,
    policy_losses,
    value_losses,
)
from welltuned.rlhf.config import ResolvedPpo
from welltuned.rlhf.kl import divergence, entropies, k1, k3


@dataclass(frozen=True)
class Experience:
    """A judged rollout: what each token earned, and how much better that was than expected."""

    rewards_BT: torch.Tensor
    advantages_BT: torch.Tensor
    """Whitened."""
    returns_BT: torch.Tensor
    """Of the advantages before whitening, plus the values."""


def estimate(
    rollout: Rollout, scores_B: torch.Tensor, config: ResolvedPpo, kl_coef: float
) -> Experience:
    """Rewards, advantages and returns of a rollout. A pure function.

    A response without an end costs `missing_eos_penalty`, subtracted from its score as in
    TRL (OpenAI's code put −1 in its place).
    """
    mask_BT = rollout.mask_BT
    if config.missing_eos_penalty:
        scores_B = scores_B - config.missing_eos_penalty * (~rollout.ended_B).float()
    kl_BT = k1(rollout.logprobs_BT, rollout.references_BT).masked_fill(~mask_BT, 0)
    rewards_BT = token_rewards(kl_BT, scores_B, last_tokens(mask_BT), kl_coef)
    if config.whiten_rewards:
        rewards_BT = whiten(rewards_BT, mask_BT, shift_mean=False)
    advantages_BT = gae(rewards_BT, rollout.values_BT, config.gamma, config.lam)
    returns_BT = advantages_BT + rollout.values_BT
    return Experience(rewards_BT, whiten(advantages_BT, mask_BT), returns_BT)


class PolicyObjective(Protocol):
    """What is minimised over a rollout."""

    def count(self, rows: torch.Tensor) -> int:
        """What the loss of these rows is divided by."""

    def sums(self, judged: TokenEstimates, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """`loss` and what else is worth knowing, summed over these rows."""


@dataclass(frozen=True)
class Sampled:
    """PPO's clipped losses on what was sampled."""

    rollout: Rollout
    experience: Experience
    config: ResolvedPpo

    def count(self, rows: torch.Tensor) -> int:
        return int(self.rollout.mask_BT[rows].sum())

    def sums(self, judged: TokenEstimates, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        config, mask_RT = self.config, self.rollout.mask_BT[rows]
        new_RT, old_RT = judged.logprobs_BT, self.rollout.logprobs_BT[rows]
        advantages_RT = self.experience.advantages_BT[rows]
        values_RT = value_losses(
            judged.values_BT,
            self.rollout.values_BT[rows],
            self.experience.returns_BT[rows],
            config.cliprange_value,
        )
        with torch.no_grad():
            ratios_RT = (new_RT - old_RT).exp()
            clipped_RT = is_clipped(new_RT, old_RT, advantages_RT, config.cliprange)
        terms = {
            "policy_loss": policy_losses(new_RT, old_RT, advantages_RT, config.cliprange),
            "value_loss": values_RT,
            # The samples are the old policy's, so it comes first.
            "approx_kl": k3(old_RT, new_RT).detach(),
            "clip_fraction": clipped_RT.float(),
            "ratio": ratios_RT,
        }
        sums = {name: term.masked_fill(~mask_RT, 0).sum() for name, term in terms.items()}
        loss = sums["policy_loss"] + config.vf_coef * sums["value_loss"]
        if judged.entropies_BT is not None:
            loss = loss - config.entropy_coef * judged.entropies_BT.masked_fill(~mask_RT, 0).sum()
        return {"loss": loss, **sums}


@dataclass(frozen=True)
class Exact:
    """The expected reward itself, where every action was judged."""

    rollout: Rollout
    rewards_BK: torch.Tensor
    config: ResolvedPpo
    kl_coef: float

    def count(self, rows: torch.Tensor) -> int:
        return len(rows)

    def sums(self, judged: TokenEstimates, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        new_RK, old, references = (
            judged.all_logprobs_BK,
            self.rollout.all_logprobs_BK,
            self.rollout.all_references_BK,
        )
        assert new_RK is not None and old is not None and references is not None
        losses_R = exact_losses(new_RK, references[rows], self.rewards_BK[rows], self.kl_coef)
        with torch.no_grad():
            moved_R = (old[rows].exp() * (old[rows] - new_RK)).sum(dim=-1)
            ratios_R = (judged.logprobs_BT - self.rollout.logprobs_BT[rows]).exp()
        loss = losses_R.sum() - self.config.entropy_coef * entropies(new_RK).sum()
        return {
            "loss": loss,
            "policy_loss": losses_R.sum(),
            "approx_kl": moved_R.sum(),
            "ratio": ratios_R.sum(),
        }


# --- Looking at it ---------------------------------------------------------------


def response_kl(rollout: Rollout) -> torch.Tensor:
    """Nats (B) that the policy is away from its reference in each response.

    The sum itself where all actions are known, else its estimate by what was sampled.
    """
    if rollout.all_logprobs_BK is not None and rollout.all_references_BK is not None:
        return divergence(rollout.all_logprobs_BK, rollout.all_references_BK)
    ratios_BT = k1(rollout.logprobs_BT, rollout.references_BT)
    return ratios_BT.masked_fill(~rollout.mask_BT, 0).sum(dim=1)


def explained_variance(experience: Experience, rollout: Rollout) -> float:
    """1 − Var(R − V) / Var(R) over the tokens; 0 where returns do not vary."""
    returns_M = experience.returns_BT[rollout.mask_BT]
    values_M = rollout.values_BT[rollout.mask_BT]
    variance = float(returns_M.var(unbiased=False))
    return 1 - float((returns_M - values_M).var(unbiased=False)) / variance if variance else 0.0
