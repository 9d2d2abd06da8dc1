"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347).

A value head foresees what a response will earn. A token's advantage is how much better things
went than foreseen (GAE), and a clipped loss makes better tokens likelier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.engines.config import NotNegative, Positive
from welltuned.rlhf.algorithms.advantages import (
    explained_variance,
    gae,
    last_tokens,
    masked_mean,
    token_rewards,
    whiten,
)
from welltuned.rlhf.algorithms.base import Algorithm
from welltuned.rlhf.algorithms.losses import masked_sums, policy_terms, value_losses
from welltuned.rlhf.kl import k1
from welltuned.schema.part import conflict

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout, TokenEstimates

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Experience:
    """A scored rollout: what each token earned, and how much better that was than expected."""

    rollout: Rollout
    rewards_BT: torch.Tensor
    advantages_BT: torch.Tensor
    """Whitened."""
    returns_BT: torch.Tensor
    """Of the advantages before whitening, plus the values."""


class Ppo(Algorithm):
    """A value head foresees rewards; tokens that did better than foreseen become likelier."""

    title: ClassVar[str] = "PPO"
    needs_values: ClassVar[bool] = True

    type: Literal["ppo"] = "ppo"
    num_ppo_epochs: int = Field(default=4, ge=1)
    """Passes over each batch."""
    value_learning_rate: Positive = 1e-3
    """That of the value head, which starts at zero."""
    cliprange: Positive = 0.2
    """How far the ratio π / π_old may leave 1 before a token's gradient is cut off."""
    cliprange_value: Positive = 0.2
    """The same for values, in their own units."""
    vf_coef: NotNegative = 0.1
    """The weight of the value loss."""
    gamma: Share = 1.0
    """The discount of later rewards."""
    lam: Share = 0.95
    """GAE's λ: 1 trusts returns alone, 0 values alone."""
    whiten_rewards: bool = False
    """Divide the rewards of a batch by their deviation; their mean stays."""

    @model_validator(mode="before")
    @classmethod
    def _samples(cls, values: Any) -> Any:
        if isinstance(values, dict) and "gradient" in values:
            raise conflict(
                "rlhf.gradient_option",
                "'gradient' is no option: the exact gradient is an algorithm of its own",
                "write rl: exact for it, else remove 'gradient'",
            )
        return values

    @property
    def passes(self) -> int:
        return self.num_ppo_epochs

    @property
    def value_rate(self) -> float:
        return self.value_learning_rate

    def experience(self, rollout: Rollout, scores: torch.Tensor, kl_coef: float) -> Experience:
        """A response's score is earned by its last token, and every token pays for its KL."""
        mask_BT = rollout.mask_BT
        kl_BT = k1(rollout.logprobs_BT, rollout.references_BT).masked_fill(~mask_BT, 0)
        rewards_BT = token_rewards(kl_BT, scores, last_tokens(mask_BT), kl_coef)
        if self.whiten_rewards:
            rewards_BT = whiten(rewards_BT, mask_BT, shift_mean=False)
        advantages_BT = gae(rewards_BT, rollout.values_BT, self.gamma, self.lam)
        returns_BT = advantages_BT + rollout.values_BT
        return Experience(rollout, rewards_BT, whiten(advantages_BT, mask_BT), returns_BT)

    def loss(
        self, experience: Experience, estimates: TokenEstimates, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        rollout = experience.rollout
        terms = policy_terms(
            estimates.logprobs_BT,
            rollout.logprobs_BT[rows],
            experience.advantages_BT[rows],
            self.cliprange,
        )
        terms["value_loss"] = value_losses(
            estimates.values_BT,
            rollout.values_BT[rows],
            experience.returns_BT[rows],
            self.cliprange_value,
        )
        sums = masked_sums(terms, rollout.mask_BT[rows])
        return {"loss": sums["policy_loss"] + self.vf_coef * sums["value_loss"], **sums}

    def facts(self, experience: Experience) -> dict[str, float]:
        """`value`, the mean over tokens, and the share of the returns' variance foreseen."""
        rollout = experience.rollout
        values_BT, mask_BT = rollout.values_BT, rollout.mask_BT
        return {
            "value": float(masked_mean(values_BT, mask_BT)),
            "explained_variance": explained_variance(experience.returns_BT, values_BT, mask_BT),
        }
