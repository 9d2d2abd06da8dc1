"""KL divergence between policies, its estimators, and the adaptive KL coefficient.

With log-probabilities under the policy, whose samples they are, and under a reference,
d = log π − log π_ref of each sampled token estimates KL(π ‖ π_ref):

    k1 = d                   unbiased; this is what enters the *reward*
    k3 = e^(−d) − 1 + d      unbiased, never negative, less noise; for looking at

As a loss k1 has an expected gradient of zero, and that of k3 is the gradient of another
divergence, KL(π_ref ‖ π) (arXiv 2506.09477, 2510.01555). GRPO alone has k3 there, as its paper
defines it, and may have k1 in the reward instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LARGEST_ERROR = 0.2
"""How far one batch may move the coefficient, as a share (Ziegler et al. 2019)."""


def k1(logprobs: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """The plain log-ratio; its mean over samples of the policy is the divergence."""
    return logprobs - references


def k3(logprobs: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """e^(−d) − 1 + d (Schulman 2020, "Approximating KL divergence")."""
    d = logprobs - references
    return (-d).expm1() + d


def divergence(logprobs_BK: torch.Tensor, references_BK: torch.Tensor) -> torch.Tensor:
    """KL(π ‖ π_ref) itself (B), where the log-probabilities of all K actions are known."""
    return (logprobs_BK.exp() * (logprobs_BK - references_BK)).sum(dim=-1)


@dataclass
class KLCoefficient:
    """β, the weight of the divergence in the reward: fixed, or steered towards a target.

    β ← β · (1 + clip(KL / target − 1, ±0.2) · n / horizon) after n samples (Ziegler et al.
    2019, arXiv 1909.08593).
    """

    value: float
    target: float | None = None
    """Nats per response; None keeps the coefficient as it is."""
    horizon: int = 10_000
    """Samples over which a divergence 20% off its target moves the coefficient by 20%."""

    def update(self, kl: float, samples: int) -> None:
        """After a batch whose responses had this mean divergence."""
        if self.target is None:
            return
        error = kl / self.target - 1
        error = max(-_LARGEST_ERROR, min(_LARGEST_ERROR, error))
        self.value *= 1 + error * samples / self.horizon


def entropies(logprobs_BK: torch.Tensor) -> torch.Tensor:
    """−Σ p · log p over the last dimension."""
    return -(logprobs_BK.exp() * logprobs_BK).sum(dim=-1)
