"""RAFT: the best of several responses to a prompt is learned (Dong et al. 2023, arXiv 2304.06767).

No value head and no advantages: every other response is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.losses import masked_sums, policy_terms

if TYPE_CHECKING:
    import torch


class Raft(Algorithm):
    """The best response to each prompt becomes likelier."""

    title: ClassVar[str] = "RAFT"

    type: Literal["raft"] = "raft"
    num_generations: int = Field(default=8, ge=2)
    """Responses to each prompt."""
    cliprange: float = Field(default=0.2, gt=0)
    """How far the ratio π / π_old may leave 1 before a token's gradient is cut off."""

    @property
    def samples_per_prompt(self) -> int:
        return self.num_generations

    def experience(self, rollout: Any, scores: torch.Tensor, kl_coef: float) -> Any:
        groups = (scores - kl_coef * rollout.log_ratios()).view(-1, self.num_generations)
        best = groups.argmax(dim=1, keepdim=True)
        return rollout, groups.new_zeros(groups.shape).scatter(1, best, 1.0).view(-1, 1)

    def loss(self, experience: Any, estimates: Any, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        rollout, advantages_B1 = experience
        advantages_RT = advantages_B1[rows].expand_as(estimates.logprobs_BT)
        old_RT = rollout.logprobs_BT[rows]
        terms = policy_terms(estimates.logprobs_BT, old_RT, advantages_RT, self.cliprange)
        sums = masked_sums(terms, rollout.mask_BT[rows])
        return {"loss": sums["policy_loss"], **sums}
