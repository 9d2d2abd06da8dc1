"""Advantage estimation: pure functions from rewards and values to advantages.

B responses of at most T tokens. `mask_BT` is true for the tokens that were really said,
the end token included; whatever stands beyond them is zero and stays zero. A classifier's
answer is a response of one token (T = 1), and everything here holds for it unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean where the mask is true, over everything."""
    return values.masked_fill(~mask, 0).sum() / mask.sum().clamp(min=1)


def whiten(values: torch.Tensor, mask: torch.Tensor, shift_mean: bool = True) -> torch.Tensor:
    """Unit variance where the mask is true, and mean zero unless told not to shift it.

    The variance is the unbiased one (n − 1), as in TRL; OpenAI's code divided by n. A single
    value has no variance and is returned as it is. Zero where the mask is false.
    """
    count = mask.sum()
    if count < 2:
        return values.masked_fill(~mask, 0)
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean) ** 2, mask) * count / (count - 1)
    whitened = (values - mean) * (variance + 1e-8).rsqrt()
    return (whitened if shift_mean else whitened + mean).masked_fill(~mask, 0)


def last_tokens(mask_BT: torch.Tensor) -> torch.Tensor:
    """The index of each response's last token (B). Every response has one at least."""
    return mask_BT.cumsum(dim=1).argmax(dim=1)


def token_rewards(
    kl_BT: torch.Tensor,
    scores_B: torch.Tensor,
    ends_B: torch.Tensor,
    kl_coef: float,
) -> torch.Tensor:
    """What each token earns (B, T): −β · its log-ratio, and the response's score at its end."""
    scores_B1 = scores_B.to(kl_BT.dtype).unsqueeze(1)
    return (-kl_coef * kl_BT).scatter_add(1, ends_B.unsqueeze(1), scores_B1)


def gae(
    rewards_BT: torch.Tensor, values_BT: torch.Tensor, gamma: float, lam: float
) -> torch.Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438).

    A_t = Σ_l (γλ)^l · δ_{t+l} with δ_t = r_t + γ·V_{t+1} − V_t. Beyond the end of a response
    rewards and values are zero, so the value of what follows the last token is zero too.
    Returns are these advantages, before any whitening, plus the values.
    """
    advantages_BT = rewards_BT.new_zeros(rewards_BT.shape)
    advantage_B = next_values_B = rewards_BT.new_zeros(len(rewards_BT))
    for t in range(rewards_BT.shape[1] - 1, -1, -1):
        deltas_B = rewards_BT[:, t] + gamma * next_values_B - values_BT[:, t]
        advantage_B = deltas_B + gamma * lam * advantage_B
        advantages_BT[:, t] = advantage_B
        next_values_B = values_BT[:, t]
    return advantages_BT


def explained_variance(
    returns_BT: torch.Tensor, values_BT: torch.Tensor, mask_BT: torch.Tensor
) -> float:
    """1 − Var(R − V) / Var(R) over the tokens; 0 where returns do not vary."""
    returns_M, values_M = returns_BT[mask_BT], values_BT[mask_BT]
    variance = float(returns_M.var(unbiased=False))
    return 1 - float((returns_M - values_M).var(unbiased=False)) / variance if variance else 0.0
