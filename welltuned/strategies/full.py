"""Full fine-tuning: every weight trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, Strategy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy


class Full(Strategy):
    """Every weight trains, optionally with layer-wise learning-rate decay."""

    rl_learning_rate: ClassVar[float | None] = 1e-5

    type: Literal["full"] = "full"
    layer_decay: Annotated[float, Range(0.7, 1.0)] = Field(default=1.0, gt=0, le=1)
    """Layer-wise learning-rate decay: a block's rate is the one above it times this.
    1 switches it off."""

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        model.requires_grad_(True)
        return model

    def learning_rate_scale(self, name: str, anatomy: Anatomy) -> float:
        depth = anatomy.depth(name)
        return self.head_scale if depth == 0 else self.layer_decay ** (depth - 1)
