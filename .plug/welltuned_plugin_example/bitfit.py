"""BitFit: only biases train (Ben Zaken et al. 2022, arXiv 2106.10199)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from welltuned.strategies import Context, Strategy

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class BitFit(Strategy):
    """The biases and the head train."""

    defaults: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "learning_rate": (1e-3, "published for BitFit; not measured here"),
            "head_learning_rate_scale": (1, "usual for BitFit; not measured here"),
            "num_train_epochs": (3, "usual for BitFit; not measured here"),
            "warmup_ratio": (0.1, "usual for BitFit; not measured here"),
            "weight_decay": (0.0, "biases do not decay"),
        },
    )

    type: Literal["bitfit"] = "bitfit"

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        for name, parameter in model.named_parameters():
            in_head = context.anatomy.depth(name) == 0
            parameter.requires_grad_(in_head or name.endswith(".bias"))
        return model
