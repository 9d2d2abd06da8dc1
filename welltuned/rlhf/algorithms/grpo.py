"""Group relative policy optimisation, GRPO (Shao et al. 2024, arXiv 2402.03300).

A token's advantage is how much better its response is than the mean of its group, in standard
deviations; a clipped loss makes tokens of better responses likelier. Two of its normalisations
favour something: dividing by the length of each response lets long wrong ones off lightly, and
dividing by a group's deviation gives very easy and very hard prompts more weight. Dr. GRPO (Liu et
al. 2025, arXiv 2503.20783) leaves out both: `loss_type: dr_grpo` and `scale_rewards: none`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from welltuned.engines.config import NotNegative
from welltuned.rlhf.algorithms.groups import Compared, GroupAlgorithm, in_groups, share_equal
from welltuned.rlhf.algorithms.losses import masked_sums, policy_terms
from welltuned.rlhf.kl import k3

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout, TokenEstimates

_LEAST_DEVIATION = 1e-4
"""Added to a deviation that divides, as in TRL."""


class Grpo(GroupAlgorithm):
    """Tokens of responses that are better than the mean of their group become likelier."""

    title: ClassVar[str] = "GRPO"

    type: Literal["grpo"] = "grpo"
    loss_type: Literal["grpo", "bnpo", "dr_grpo"] = "grpo"
    """What token losses are divided by. grpo: the length of their response, and then by the
    responses, as the paper; bnpo: the tokens of the minibatch; dr_grpo: `response_length` for
    every response, a constant."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """The standard deviation that advantages are divided by: that of their group, as the paper,
    that of the whole batch, or none."""
    kl_in: Literal["loss", "reward"] = "loss"
    """Where the divergence counts. loss: k3 of each token, as the paper, which pulls towards
    KL(π_ref ‖ π); reward: each response pays for its own log-ratio, as with PPO."""
    kl_coef: NotNegative = 0.04
    """β, the weight of the divergence from the reference. TRL has 0: no pull at all."""

    def experience(self, rollout: Rollout, scores: torch.Tensor, kl_coef: float) -> Compared:
        size, pays = self.num_generations, kl_coef if self.kl_in == "reward" else 0.0
        rewards_PG = in_groups(scores - pays * rollout.log_ratios(), size)
        advantages_PG = rewards_PG - rewards_PG.mean(dim=1, keepdim=True)
        if self.scale_rewards != "none":
            whole = self.scale_rewards == "batch"
            deviation = rewards_PG.std() if whole else rewards_PG.std(dim=1, keepdim=True)
            advantages_PG = advantages_PG / (deviation + _LEAST_DEVIATION)
        equal = share_equal(in_groups(scores, size))
        return Compared(rollout, advantages_PG.flatten(), kl_coef, equal)

    def loss(
        self, experience: Compared, estimates: TokenEstimates, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        rollout, now_RT = experience.rollout, estimates.logprobs_BT
        mask_RT, old_RT = rollout.mask_BT[rows], rollout.logprobs_BT[rows]
        advantages_RT = experience.advantages_B[rows].unsqueeze(1).expand_as(now_RT)
        terms = policy_terms(now_RT, old_RT, advantages_RT, self.epsilon, self.epsilon_high)
        if self.kl_in == "loss":
            terms["kl_loss"] = experience.kl_coef * k3(now_RT, rollout.references_BT[rows])
        if self.loss_type == "grpo":
            lengths_R1 = mask_RT.sum(dim=1, keepdim=True)
            terms |= {name: terms[name] / lengths_R1 for name in terms if name.endswith("_loss")}
        sums = masked_sums(terms, mask_RT)
        return {"loss": sums["policy_loss"] + sums.get("kl_loss", 0.0), **sums}

    def divisor(self, rollout: Rollout, rows: torch.Tensor) -> float:
        if self.loss_type == "bnpo":
            return super().divisor(rollout, rows)
        longest = 1 if rollout.all_logprobs_BK is not None else self.response_length  # or a label
        return float(len(rows) * (longest if self.loss_type == "dr_grpo" else 1))
