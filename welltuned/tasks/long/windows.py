"""Windows: a long text is read whole, in rows that overlap, and what they say is pooled.

Pooling is of what the head says of each window. Over a linear head that is the same as pooling what
it reads: means of logits are logits of means, and with weights that a further output of the head
gives, it is attention over the windows (Ilse et al. 2018, arXiv 1802.04712).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.tokens import ragged
from welltuned.data.tokens.windows import NO_ROW, WindowIndex, cut_windows
from welltuned.schema.part import conflict
from welltuned.tasks.long.base import HEAD, LongTexts
from welltuned.tasks.rows import mean_of_rows

if TYPE_CHECKING:
    import torch


ATTENTION = "window attention"
"""What the head's further output is called, beside labels."""


class Windows(LongTexts):
    """Long texts are read whole, in windows that overlap, whose outputs are pooled."""

    in_windows: ClassVar[bool] = True

    type: Literal["windows"] = "windows"
    length: Annotated[int, Field(ge=4)] | Literal["auto"] = Field(default="auto", examples=[128])
    """Tokens of a window, special tokens included. auto: `task.max_length`."""
    stride: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(default="auto", examples=[96])
    """Tokens from the beginning of a window to that of the next. auto: three quarters of a window.
    The last window ends with the text; of a pair, whose shorter text is part of every window,
    windows may lie closer."""
    pooling: Literal["mean", "max", "attention"] = "mean"
    """How what the head says of the windows becomes one answer. max: the greatest of each label's;
    attention: a mean with weights that are learned."""
    windows_per_step: int | None = Field(default=None, ge=1, examples=[8])
    """The most windows of a text that a training step learns from, drawn anew for each step from
    `training.seed`, to save memory and time. Default: all. Predictions are by all windows."""

    @model_validator(mode="after")
    def _sensible(self) -> Windows:
        if self.length != "auto" and self.stride != "auto" and self.stride > self.length:
            raise conflict(
                "task.stride_too_large",
                "'task.long.stride' is {stride}, but a window holds {room} tokens of text: those "
                "between two windows would not be read",
                "choose at most {room}",
                stride=self.stride,
                room=self.length,
            )
        return self

    @property
    def further_outputs(self) -> tuple[str, ...]:
        return (ATTENTION,) if self.pooling == "attention" else ()

    @property
    def own_length(self) -> int | None:
        return None if self.length == "auto" else self.length

    @property
    def own_stride(self) -> int | None:
        return None if self.stride == "auto" else self.stride

    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        length = min(self.own_length or max_length, max_length)
        return cut_windows(parts_T, length, self.own_stride, HEAD)

    def index(self, numbers: Sequence[int]) -> WindowIndex:
        return WindowIndex(ragged.offsets_of(numbers), self.windows_per_step)

    def pool(self, rows_RK: torch.Tensor, table_BW: torch.Tensor) -> torch.Tensor:
        if self.pooling == "mean":
            return mean_of_rows(rows_RK, table_BW)
        unseen_BW1 = (table_BW == NO_ROW).unsqueeze(-1)
        rows_BWK = rows_RK[table_BW.clamp(min=0)]
        if self.pooling == "max":
            return rows_BWK.masked_fill(unseen_BW1, -float("inf")).amax(dim=1)
        weights_BW1 = rows_BWK[..., -1:].masked_fill(unseen_BW1, -float("inf")).softmax(dim=1)
        return (weights_BW1 * rows_BWK[..., :-1]).sum(dim=1)
