"""What a generator learns by from pairs, whichever loss was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from welltuned.tasks.direct_alignment import ResponseLikelihood

if TYPE_CHECKING:
    import torch
    from torch import nn

    from welltuned.tasks.parts import Batch
    from welltuned.tasks.preference.losses import PairLoss


@dataclass(frozen=True)
class PreferenceObjective(ResponseLikelihood):
    """A language model's head, learning from pairs; beside the untuned model where the loss is."""

    pair_loss: PairLoss

    @property
    def averages(self) -> bool:
        return self.pair_loss.averages

    @property
    def needs_reference(self) -> bool:
        return self.pair_loss.needs_reference

    def count(self, batch: Batch) -> float:
        return float(batch["weights"].sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        values_R = self.logprobs(model, batch)
        if self.needs_reference:
            values_R = values_R - batch["reference"]
        better_Q, worse_Q = values_R[batch["pairs"]].unbind(dim=1)
        losses_Q = self.pair_loss.losses(better_Q, worse_Q, batch["margins"])
        return (batch["weights"] * losses_Q).sum()
