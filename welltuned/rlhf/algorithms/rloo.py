"""REINFORCE leave-one-out, RLOO (Ahmadian et al. 2024, arXiv 2402.14740).

A whole response is one action. Its baseline is the mean reward of the others of its group, which
does not depend on it; so the gradient is that of REINFORCE, without bias, and no value head is
needed. Beyond the first step on a batch the ratio of whole responses is clipped, as in TRL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from welltuned.rlhf.algorithms.groups import Compared, GroupAlgorithm, in_groups, share_equal
from welltuned.rlhf.algorithms.losses import is_clipped, masked_sums, policy_losses
from welltuned.rlhf.kl import k3

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout, TokenEstimates


class Rloo(GroupAlgorithm):
    """Responses that are better than the others of their group become likelier, as a whole."""

    title: ClassVar[str] = "RLOO"

    type: Literal["rloo"] = "rloo"
    num_generations: int = Field(default=4, ge=1)
    """Responses to each prompt, two at least; `batch_size` is a multiple of it."""

    def experience(self, rollout: Rollout, scores: torch.Tensor, kl_coef: float) -> Compared:
        size = self.num_generations
        rewards_PG = in_groups(scores - kl_coef * rollout.log_ratios(), size)
        baselines_PG = (rewards_PG.sum(dim=1, keepdim=True) - rewards_PG) / (size - 1)
        advantages_B = (rewards_PG - baselines_PG).flatten()
        return Compared(rollout, advantages_B, kl_coef, share_equal(in_groups(scores, size)))

    def loss(
        self, experience: Compared, estimates: TokenEstimates, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        rollout, now_RT = experience.rollout, estimates.logprobs_BT
        mask_RT, old_RT = rollout.mask_BT[rows], rollout.logprobs_BT[rows]
        advantages_R = experience.advantages_B[rows]
        whole_R, before_R = (each.masked_fill(~mask_RT, 0).sum(dim=1) for each in (now_RT, old_RT))
        bounds = self.epsilon, self.epsilon_high
        losses_R = policy_losses(whole_R, before_R, advantages_R, *bounds)
        clipped_R = is_clipped(whole_R.detach(), before_R, advantages_R, *bounds)
        terms = {
            "approx_kl": k3(old_RT, now_RT.detach()),
            "clip_fraction": clipped_R.float().unsqueeze(1).expand_as(now_RT),
            "ratio": (now_RT.detach() - old_RT).exp(),
        }
        loss = losses_R.sum()
        return {"loss": loss, "policy_loss": loss, **masked_sums(terms, mask_RT)}

    def divisor(self, rollout: Rollout, rows: torch.Tensor) -> float:
        return float(len(rows))
