"""Only normalisations train (Zhao et al. 2023, arXiv 2312.11420)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from welltuned.strategies import Context, Strategy

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Norms(Strategy):
    """The normalisations of the blocks and the head train."""

    defaults: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "learning_rate": (1e-3, "usual for so few weights; not measured here"),
            "head_learning_rate_scale": (1, "usual for so few weights; not measured here"),
            "num_train_epochs": (3, "usual for so few weights; not measured here"),
            "warmup_ratio": (0.1, "usual for so few weights; not measured here"),
            "weight_decay": (0.0, "vectors do not decay"),
        },
    )

    type: Literal["norms"] = "norms"

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        norms = [norm for block in context.anatomy.blocks for norm in block.norms]
        for name, parameter in model.named_parameters():
            in_head = context.anatomy.depth(name) == 0
            parameter.requires_grad_(in_head or name.rpartition(".")[0] in norms)
        return model
