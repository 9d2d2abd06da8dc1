"""The policy gradient itself, where actions are few: every label is scored, none is sampled.

The expected reward and the divergence are sums over all K labels, so there is nothing to
estimate, no variance, and no need of a value head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from welltuned.rlhf.algorithms.base import Algorithm
from welltuned.rlhf.algorithms.losses import exact_losses

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout, TokenEstimates


@dataclass(frozen=True)
class Scored:
    """A rollout with the scores of all labels."""

    rollout: Rollout
    scores_BK: torch.Tensor
    kl_coef: float


class Exact(Algorithm):
    """For classifiers: all labels are scored and the gradient is the sum over them."""

    title: ClassVar[str] = "Exact policy gradient"
    scores_every_action: ClassVar[bool] = True

    type: Literal["exact"] = "exact"
    num_iterations: int = Field(default=4, ge=1)
    """Passes over each batch."""

    @property
    def passes(self) -> int:
        return self.num_iterations

    def experience(self, rollout: Rollout, scores: torch.Tensor, kl_coef: float) -> Scored:
        return Scored(rollout, scores, kl_coef)

    def loss(
        self, experience: Scored, estimates: TokenEstimates, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        rollout, new_RK = experience.rollout, estimates.all_logprobs_BK
        old_BK, references_BK = rollout.all_logprobs_BK, rollout.all_references_BK
        assert new_RK is not None and old_BK is not None and references_BK is not None
        old_RK = old_BK[rows]
        losses_R = exact_losses(
            new_RK, references_BK[rows], experience.scores_BK[rows], experience.kl_coef
        )
        moved_R = (old_RK.exp() * (old_RK - new_RK.detach())).sum(dim=-1)
        ratios_RT = (estimates.logprobs_BT.detach() - rollout.logprobs_BT[rows]).exp()
        return {
            "loss": losses_R.sum(),
            "policy_loss": losses_R.sum(),
            "approx_kl": moved_R.sum(),
            "ratio": ratios_RT.sum(),
        }
