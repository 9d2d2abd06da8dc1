"""Focal loss: what is right already counts less (Lin et al. 2017, arXiv 1708.02002)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LEAST = 1e-8
"""Of 1 − p, whose power has no slope at 0 where gamma is below 1."""


def focal_losses(log_chances: torch.Tensor, gamma: float) -> torch.Tensor:
    """−(1 − p)^gamma · log p, from the log-probabilities of what is true, of any shape."""
    doubt = (-log_chances.expm1()).clamp_min(_LEAST)
    return -doubt.pow(gamma) * log_chances
