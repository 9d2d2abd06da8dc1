"""The Kahneman-Tversky loss, and how both kinds of thumbs are balanced: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

_MOST = 4 / 3
"""Of the ratio λ_D·n_D / (λ_U·n_U), which is 1 at least (arXiv 2402.01306)."""

_Weight = float | Literal["auto"]


def kto_losses(
    rewards_B: torch.Tensor,
    baseline: torch.Tensor,
    is_good_B: torch.Tensor,
    desirable_weight: float,
    undesirable_weight: float,
) -> torch.Tensor:
    """λ_y − v of each answer (B) (Ethayarajh et al. 2024, arXiv 2402.01306).

    v is λ_D·σ(r − z) of a good answer and λ_U·σ(z − r) of a bad one, where r is β times how much
    likelier it has become and z β times the divergence from the untuned model, through which no
    gradient flows.
    """
    signs_B = is_good_B.to(rewards_B.dtype) * 2 - 1
    weights_B = rewards_B.new_tensor([undesirable_weight, desirable_weight])[is_good_B.long()]
    return weights_B * (1 - (signs_B * (rewards_B - baseline)).sigmoid())


def balanced_weights(
    desirable: _Weight, undesirable: _Weight, ups: int, downs: int
) -> tuple[float, float]:
    """(λ_D, λ_U), with a number for each `auto`.

    1 where the paper's ratio λ_D·n_D / (λ_U·n_U) then is between 1 and 4/3. Where it is not, the
    rarer kind is raised until the ratio is 1, or the one that is `auto`.
    """
    up = 1.0 if desirable == "auto" else desirable
    down = 1.0 if undesirable == "auto" else undesirable
    if "auto" not in (desirable, undesirable) or 1 <= up * ups / (down * downs) <= _MOST:
        return up, down
    if undesirable != "auto" or (desirable == "auto" and ups < downs):
        return down * downs / ups, down
    return up, up * ups / downs
