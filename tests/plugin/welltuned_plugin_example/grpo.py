"""GRPO: a response is compared with others to the same prompt (Shao et al. 2024, arXiv 2402.03300).

No value head: what a prompt is worth is the mean reward of a group of responses to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.losses import masked_sums, policy_terms

if TYPE_CHECKING:
    import torch


class Grpo(Algorithm):
    """Responses that are better than others to the same prompt become likelier."""

    title: ClassVar[str] = "GRPO"

    type: Literal["grpo"] = "grpo"
    num_generations: int = Field(default=8, ge=2)
    """Responses to each prompt."""
    cliprange: float = Field(default=0.2, gt=0)
    """How far the ratio π / π_old may leave 1 before a token's gradient is cut off."""

    @property
    def samples_per_prompt(self) -> int:
        return self.num_generations

    def experience(self, rollout: Any, scores: torch.Tensor, kl_coef: float) -> Any:
        groups = (scores - kl_coef * rollout.kl()).view(-1, self.num_generations)
        centred = groups - groups.mean(dim=1, keepdim=True)
        return rollout, (centred / (groups.std(dim=1, keepdim=True) + 1e-4)).view(-1, 1)

    def loss(self, experience: Any, estimates: Any, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        rollout, advantages_B1 = experience
        advantages_RT = advantages_B1[rows].expand_as(estimates.logprobs_BT)
        old_RT = rollout.logprobs_BT[rows]
        terms = policy_terms(estimates.logprobs_BT, old_RT, advantages_RT, self.cliprange)
        sums = masked_sums(terms, rollout.mask_BT[rows])
        return {"loss": sums["policy_loss"], **sums}
