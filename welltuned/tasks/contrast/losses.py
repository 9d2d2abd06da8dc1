"""Contrastive losses of groups of texts, as pure functions of cosines and of what is alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

LossName = Literal["supcon", "cosine"]


@dataclass(frozen=True)
class ContrastLoss:
    """Which loss, with its number."""

    name: LossName
    temperature: float
    """Of `supcon`."""

    def sum(self, cosines_BSS: torch.Tensor, alike_BSS: torch.Tensor) -> torch.Tensor:
        """Summed over what `count` counts."""
        if self.name == "cosine":
            return cosine_sum(cosines_BSS, alike_BSS)
        return supcon_sum(cosines_BSS, alike_BSS, self.temperature)

    def count(self, alike_BSS: torch.Tensor) -> float:
        """Pairs of texts; of `supcon` texts that have one like them."""
        groups, size, _ = alike_BSS.shape
        if self.name == "cosine":
            return float(groups * size * (size - 1) / 2)
        return float((_without_self(alike_BSS).sum(-1) > 0).sum())


def likeness(flags_BSK: torch.Tensor) -> torch.Tensor:
    """How alike the texts of a group are (B, S, S), by their labels: 1 with the same, else 0.

    Of several labels, the share that two texts have in common of all that either has (Jaccard);
    texts without any are alike.
    """
    shared_BSS = flags_BSK @ flags_BSK.transpose(1, 2)
    number_BS1 = flags_BSK.sum(-1, keepdim=True)
    either_BSS = number_BS1 + number_BS1.transpose(1, 2) - shared_BSS
    return (shared_BSS / either_BSS.clamp(min=1)).masked_fill(either_BSS == 0, 1.0)


def supcon_sum(
    cosines_BSS: torch.Tensor, alike_BSS: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, its L_out), over texts.

    Each text tells those like it from all others of its group. Where texts are alike by degrees,
    each weighs as much as it is alike.
    """
    weights_BSS = _without_self(alike_BSS)
    itself_SS = _diagonal(cosines_BSS)
    # Not -inf: that times a weight of 0 is no number.
    scores_BSS = (cosines_BSS / temperature).masked_fill(itself_SS, -1e4)
    chances_BSS = scores_BSS.log_softmax(dim=-1)
    total_BS = weights_BSS.sum(-1)
    losses_BS = -(weights_BSS * chances_BSS).sum(-1) / total_BS.clamp(min=1e-6)
    return losses_BS.masked_fill(total_BS == 0, 0.0).sum()


def cosine_sum(cosines_BSS: torch.Tensor, alike_BSS: torch.Tensor) -> torch.Tensor:
    """Squared differences of cosine and likeness (Tunstall et al. 2022, arXiv 2209.11055), over
    pairs."""
    return _without_self((cosines_BSS - alike_BSS).square()).sum() / 2


def _without_self(values_BSS: torch.Tensor) -> torch.Tensor:
    return values_BSS.masked_fill(_diagonal(values_BSS), 0.0)


def _diagonal(values_BSS: torch.Tensor) -> torch.Tensor:
    import torch

    size = values_BSS.shape[-1]
    return torch.eye(size, dtype=torch.bool, device=values_BSS.device)
