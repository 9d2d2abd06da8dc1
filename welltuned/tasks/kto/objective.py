"""What a generator learns by from thumbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from welltuned.tasks.direct_alignment import ResponseLikelihood
from welltuned.tasks.kto.losses import kto_losses

if TYPE_CHECKING:
    import torch
    from torch import nn

    from welltuned.tasks.parts import Batch

_ROWS = ("input_ids", "attention_mask", "labels")


@dataclass(frozen=True)
class KtoObjective(ResponseLikelihood):
    """A language model's head, learning from answers one by one beside the untuned model."""

    beta: float
    desirable_weight: float
    undesirable_weight: float

    needs_step_mean: ClassVar[bool] = True

    @property
    def needs_reference(self) -> bool:
        return True

    def count(self, batch: Batch) -> float:
        return float(len(batch["scores"]))

    def step_sum(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """log π − log π_ref of answers to other prompts, whose mean estimates the divergence."""
        import torch

        with torch.no_grad():
            return self._gains(model, batch, batch["grid"][:, 1]).sum()

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        mean = batch.get("step_mean")
        if mean is None:
            mean = self.step_sum(model, batch) / self.count(batch)
        gains_B = self._gains(model, batch, batch["grid"][:, 0])
        losses_B = kto_losses(
            self.beta * gains_B,
            self.beta * mean.clamp(min=0),
            batch["scores"] > 0.5,
            self.desirable_weight,
            self.undesirable_weight,
        )
        return losses_B.sum()

    def _gains(self, model: nn.Module, batch: Batch, rows_B: torch.Tensor) -> torch.Tensor:
        """How much likelier some rows' responses have become (B)."""
        rows = {name: batch[name][rows_B] for name in _ROWS}
        return self.logprobs(model, rows) - batch["reference"][rows_B]
