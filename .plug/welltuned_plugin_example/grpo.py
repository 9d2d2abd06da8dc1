"""GRPO: a response is compared with others to the same prompt (Shao et al. 2024, arXiv 2402.03300).

No value head: what a prompt is worth is the mean reward of a group of responses to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.algorithms.losses import masked_sums, policy_terms

if TYPE_CHECKING:
    import torch


class Experience(NamedTuple):
    """A rollout, and how much better each of its responses is than its group."""

    rollout: Any
    advantages_B: torch.Tensor


class Grpo(Algorithm):
    """Responses that are better than others to the same prompt become likelier."""

    title: ClassVar[str] = "GRPO"

    type: Literal["grpo"] = "grpo"
    num_generations: int = Field(default=8, ge=2)
    """Responses to each prompt."""
    num_iterations: int = Field(default=1, ge=1)
    """Passes over each batch."""
    cliprange: float = Field(default=0.2, gt=0)
    """How far the ratio π / π_old may leave 1 before a token's gradient is cut off."""

    @property
    def samples_per_prompt(self) -> int:
        return self.num_generations

    @property
    def passes(self) -> int:
        return self.num_iterations

    def experience(self, rollout: Any, scores: torch.Tensor, kl_coef: float) -> Experience:
        groups = (scores - kl_coef * rollout.kl()).view(-1, self.num_generations)
        centred = groups - groups.mean(dim=1, keepdim=True)
        return Experience(rollout, (centred / (groups.std(dim=1, keepdim=True) + 1e-4)).flatten())

    def loss(
        self, experience: Experience, estimates: Any, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        old_RT, mask_RT = (
            x[rows] for x in (experience.rollout.logprobs_BT, experience.rollout.mask_BT)
        )
        advantages_RT = experience.advantages_B[rows].unsqueeze(1).expand_as(old_RT)
        terms = policy_terms(estimates.logprobs_BT, old_RT, advantages_RT, self.cliprange)
        sums = masked_sums(terms, mask_RT)
        return {"loss": sums["policy_loss"], **sums}
