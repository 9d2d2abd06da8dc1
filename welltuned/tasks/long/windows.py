"""Windows: a long text is read whole, in rows that overlap, and what they say is pooled.

Pooling is of what the head says of each window. Over a linear head that is the same as pooling what
it reads: means of logits are logits of means, and with weights that further outputs of the head
give, it is attention over the windows (Ilse et al. 2018, arXiv 1802.04712). There is one for the
first window, one for the last and one for those between: so a few texts teach in which of them the
evidence stands, before it is known what evidence looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, JsonValue, model_validator

from welltuned.data.tokens import ragged
from welltuned.data.tokens.windows import NO_ROW, WindowIndex, cut_windows
from welltuned.schema.part import conflict
from welltuned.tasks.long.base import HEAD, LongTexts
from welltuned.tasks.rows import mean_of_rows

if TYPE_CHECKING:
    import torch


Pooling = Literal["mean", "max", "attention"]
ATTENTION = tuple(f"window attention, {place}" for place in ("first", "last", "between"))
"""What the head's further outputs are called, beside labels."""


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
    pooling: Pooling | Literal["auto"] = "auto"
    """How what the head says of the windows becomes one answer. max: the greatest of each label's;
    attention: a mean with weights that are learned, of the first window, the last and those between
    apart. auto: attention, or mean where `windows_per_step` is less than three."""
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
        if self.pooling == "attention" and self._draws_too_few:
            raise conflict(
                "task.windows_per_step_too_few",
                "'task.long.windows_per_step' is {number}, but attention learns from the first "
                "window of a text, the last and others",
                "choose {least} or more, or task.long.pooling=mean",
                number=self.windows_per_step,
                least=len(ATTENTION),
            )
        return self

    @property
    def pools_by(self) -> Pooling:
        if self.pooling == "auto":
            return "mean" if self._draws_too_few else "attention"
        return self.pooling

    @property
    def _draws_too_few(self) -> bool:
        """Whether a step may see no window between the first and the last."""
        return self.windows_per_step is not None and self.windows_per_step < len(ATTENTION)

    @property
    def further_outputs(self) -> tuple[str, ...]:
        return ATTENTION if self.pools_by == "attention" else ()

    @property
    def own_length(self) -> int | None:
        return None if self.length == "auto" else self.length

    @property
    def own_stride(self) -> int | None:
        return None if self.stride == "auto" else self.stride

    def to_dict(self) -> dict[str, JsonValue]:
        return {**super().to_dict(), "pooling": self.pools_by}

    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        length = min(self.own_length or max_length, max_length)
        return cut_windows(parts_T, length, self.own_stride, HEAD)

    def index(self, numbers: Sequence[int]) -> WindowIndex:
        keeps_ends = self.pools_by == "attention"
        return WindowIndex(ragged.offsets_of(numbers), self.windows_per_step, keeps_ends)

    def pool(self, rows_RK: torch.Tensor, table_BW: torch.Tensor) -> torch.Tensor:
        if self.pools_by == "mean":
            return mean_of_rows(rows_RK, table_BW)
        seen_BW = table_BW != NO_ROW
        unseen_BW1 = ~seen_BW.unsqueeze(-1)
        rows_BWK = rows_RK[table_BW.clamp(min=0)]
        if self.pools_by == "max":
            return rows_BWK.masked_fill(unseen_BW1, -float("inf")).amax(dim=1)
        scores_BW1 = _by_place(rows_BWK[..., -len(ATTENTION) :], seen_BW)
        weights_BW1 = scores_BW1.masked_fill(unseen_BW1, -float("inf")).softmax(dim=1)
        return (weights_BW1 * rows_BWK[..., : -len(ATTENTION)]).sum(dim=1)


def _by_place(scores_BW3: torch.Tensor, seen_BW: torch.Tensor) -> torch.Tensor:
    """Each window's score by its place among the windows of its text (B, W, 1)."""
    numbers_BW = seen_BW.cumsum(dim=1)
    is_last_BW = numbers_BW == seen_BW.sum(dim=1, keepdim=True)
    kinds_BW = (2 - is_last_BW.long()).masked_fill(numbers_BW == 1, 0)
    return scores_BW3.gather(2, kinds_BW.unsqueeze(-1))
