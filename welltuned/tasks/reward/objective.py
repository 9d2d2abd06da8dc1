"""What reward models learn by: Bradley-Terry on pairs, least squares on ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from welltuned.data.tokens.windows import WINDOWS
from welltuned.errors import Fault, InputError
from welltuned.tasks import responses
from welltuned.tasks.classification.labels import Labels
from welltuned.tasks.classification.regression import LeastSquares
from welltuned.tasks.families import require_one_stack
from welltuned.tasks.long import TRUNCATE, LongTexts
from welltuned.tasks.parts import Objective
from welltuned.tasks.rows import read_rows

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig

    from welltuned.models.anatomy import Kind
    from welltuned.models.loading import Head, Pooling
    from welltuned.tasks.parts import Batch

_REGRESSION = LeastSquares(Labels("regression", ("reward",), ("reward",)))
"""The objective whose model a reward model is: one number for a text or a pair of texts."""


@dataclass(frozen=True)
class RewardObjective(Objective):
    """One number a response."""

    long: LongTexts = field(default=TRUNCATE, kw_only=True)

    @property
    def _outputs(self) -> int:
        """Those of the head."""
        return 1 + len(self.long.further_outputs)

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from welltuned.models.anatomy import kind_of

        require_one_stack(base, "prompt and response are scored as one text, which it reads twice")
        if pooling == "model" and kind_of(base) == "decoder":
            # They look for padding by its id, and would take a real end token for it.
            raise InputError(
                Fault(
                    "task.head_reads_padding",
                    "the built-in head of '{family}' does not read the last real token",
                    None,
                    "use task.pooling=last",
                    family=base.model_type,
                )
            )
        return replace(_REGRESSION, long=self.long).head(base, pooling)

    def usual_pooling(self, kind: Kind) -> Pooling:
        return "mean" if kind == "encoder" else "last"

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        from welltuned.models.scalar_head import start_small

        start_small(model, new, seed, self._outputs)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What the head says of each prompt's responses (B, W); 0 where there is none."""
        return responses.in_grid(self.read(model, batch), batch["grid"])

    def read(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """One number a response (R, float32)."""
        names = ("input_ids", "attention_mask", "token_type_ids", WINDOWS)
        inputs = {name: batch[name] for name in names if name in batch}

        def heads(some: Batch) -> torch.Tensor:
            return read_rows(lambda rows: model(**rows).logits.float(), some)

        return self.long.outputs(heads, inputs, 1)[:, 0]


@dataclass(frozen=True)
class BradleyTerry(RewardObjective):
    """The better response of each pair gets the higher reward (Bradley & Terry 1952)."""

    coefficient: float = 0.0
    """The weight of (r_chosen + r_rejected)² in the loss."""

    def count(self, batch: Batch) -> float:
        return float(batch["weights"].sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        rewards_R = self.read(model, batch)
        better_Q, worse_Q = rewards_R[batch["pairs"]].T
        losses_Q = bradley_terry(better_Q - worse_Q - batch["margins"])
        if self.coefficient:
            losses_Q = losses_Q + self.coefficient * (better_Q + worse_Q).square()
        return (batch["weights"] * losses_Q).sum()


@dataclass(frozen=True)
class RatingSquares(RewardObjective):
    """Least squares on ratings, less `shift` and divided by `scale`."""

    scale: float
    shift: float

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        from welltuned.models.scalar_head import unfold_kept

        super().initialise(model, new, seed)
        unfold_kept(model, new, self.scale, self.shift, self._outputs)

    def count(self, batch: Batch) -> float:
        return float(len(batch["scores"]))

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        wanted_B = (batch["scores"] - self.shift) / self.scale
        return functional.mse_loss(self.read(model, batch), wanted_B, reduction="sum")


def bradley_terry(differences_Q: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(r_better - r_worse) of each pair (Q); its slope is -sigmoid(-difference)."""
    from torch.nn import functional

    return -functional.logsigmoid(differences_Q)
