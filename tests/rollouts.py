"""A recorded rollout: tensors written down, with responses of unequal length."""

from __future__ import annotations

import torch

from welltuned.rlhf.actors.base import Rollout, TokenEstimates

LENGTHS = torch.tensor([4, 2, 1, 3, 4, 2])
"""Tokens of six responses: three to each of two prompts."""
SCORES = torch.tensor([1.0, 0.5, -2.0, 3.0, 3.0, 0.25], dtype=torch.float64)
KL_COEF = 0.3


def recorded() -> tuple[Rollout, TokenEstimates]:
    """What was sampled, and what a policy that has moved on since makes of it; in float64."""
    random = torch.Generator().manual_seed(7)
    mask_BT = torch.arange(4) < LENGTHS.unsqueeze(1)
    old_BT, moved_BT, apart_BT = torch.randn(3, 6, 4, dtype=torch.float64, generator=random)
    old_BT = -old_BT.abs().masked_fill(~mask_BT, 0)
    references_BT = (old_BT + 0.4 * apart_BT).masked_fill(~mask_BT, 0)
    now_BT = (old_BT + 0.25 * moved_BT).masked_fill(~mask_BT, 0).requires_grad_()
    nothing_BT = torch.zeros_like(old_BT)
    rollout = Rollout(
        prompts=["one"] * 3 + ["two"] * 3,
        responses=[str(i) for i in range(6)],
        inputs={"attention_mask": mask_BT.long()},
        actions_BT=torch.zeros_like(mask_BT, dtype=torch.long),
        mask_BT=mask_BT,
        logprobs_BT=old_BT,
        references_BT=references_BT,
        values_BT=nothing_BT,
        entropies_BT=nothing_BT,
        ended_B=torch.ones(6, dtype=torch.bool),
    )
    return rollout, TokenEstimates(now_BT, nothing_BT)


def some_of(estimates: TokenEstimates, rows: torch.Tensor) -> TokenEstimates:
    """The estimates of some rows."""
    return TokenEstimates(estimates.logprobs_BT[rows], estimates.values_BT[rows])
