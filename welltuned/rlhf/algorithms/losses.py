"""Losses that RL algorithms are made of: pure functions, per token.

Per token and unreduced: who calls masks them, sums them, and divides once by what the whole
minibatch is divided by, so that it does not matter into how many forward passes it is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from welltuned.rlhf.kl import divergence, k3

if TYPE_CHECKING:
    import torch


def masked_sums(terms: Mapping[str, torch.Tensor], mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """The sum of each term where the mask is true."""
    return {name: term.masked_fill(~mask, 0).sum() for name, term in terms.items()}


def policy_terms(
    logprobs_BT: torch.Tensor,
    old_BT: torch.Tensor,
    advantages_BT: torch.Tensor,
    cliprange: float,
    above: float | None = None,
) -> dict[str, torch.Tensor]:
    """The clipped policy loss and what is worth knowing of it, per token and unreduced."""
    now_BT = logprobs_BT.detach()
    return {
        "policy_loss": policy_losses(logprobs_BT, old_BT, advantages_BT, cliprange, above),
        "approx_kl": k3(old_BT, now_BT),  # the samples are the old policy's, so it comes first
        "clip_fraction": is_clipped(now_BT, old_BT, advantages_BT, cliprange, above).float(),
        "ratio": (now_BT - old_BT).exp(),
    }


def policy_losses(
    logprobs_BT: torch.Tensor,
    old_BT: torch.Tensor,
    advantages_BT: torch.Tensor,
    cliprange: float,
    above: float | None = None,
) -> torch.Tensor:
    """−min(ρA, clip(ρ, 1 ± ε)·A) with ρ = π/π_old, per token (arXiv 1707.06347).

    Its gradient is −ρA·∇log π, and zero exactly where the ratio has left the trust region
    to the side that the advantage favours: A > 0 and ρ > 1 + ε, or A < 0 and ρ < 1 − ε.
    `above` is the ε of that upper end, where it is another one (DAPO, arXiv 2503.14476).
    """
    ratios_BT = (logprobs_BT - old_BT).exp()
    clipped_BT = ratios_BT.clamp(1 - cliprange, 1 + (cliprange if above is None else above))
    return (-advantages_BT * ratios_BT).maximum(-advantages_BT * clipped_BT)


def is_clipped(
    logprobs_BT: torch.Tensor,
    old_BT: torch.Tensor,
    advantages_BT: torch.Tensor,
    cliprange: float,
    above: float | None = None,
) -> torch.Tensor:
    """Where the policy loss has no gradient because of the clipping (bool)."""
    ratios_BT = (logprobs_BT - old_BT).exp()
    over_BT = ratios_BT > 1 + (cliprange if above is None else above)
    under_BT = ratios_BT < 1 - cliprange
    return ((advantages_BT > 0) & over_BT) | ((advantages_BT < 0) & under_BT)


def value_losses(
    values_BT: torch.Tensor, old_BT: torch.Tensor, returns_BT: torch.Tensor, cliprange: float
) -> torch.Tensor:
    """½ · max((V − R)², (clip(V, V_old ± ε) − R)²), per token."""
    clipped_BT = old_BT + (values_BT - old_BT).clamp(-cliprange, cliprange)
    return 0.5 * ((values_BT - returns_BT) ** 2).maximum((clipped_BT - returns_BT) ** 2)


def exact_losses(
    logprobs_BK: torch.Tensor, references_BK: torch.Tensor, rewards_BK: torch.Tensor, kl_coef: float
) -> torch.Tensor:
    """−(E_π[r] − β·KL(π ‖ π_ref)) of each state (B), summed over all K actions.

    No action is sampled, so there is nothing to estimate and no variance. The gradient for
    the logits is −π_k(r̃_k − Σ_j π_j r̃_j) with r̃ = r − β·log(π/π_ref).
    """
    expected_B = (logprobs_BK.exp() * rewards_BK).sum(dim=-1)
    return kl_coef * divergence(logprobs_BK, references_BK) - expected_B
