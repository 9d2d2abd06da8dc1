"""What a way to read long texts is: which of their tokens make rows, and how rows become a text.

Rows of tokens are all that models, strategies, engines and caches meet. A text that is read in
several is put together again from what the head says of each (`pool`), so a model stays what its
family makes of it, and a graph in another runtime serves as well.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import JsonValue

from welltuned.data.tokens.windows import WINDOWS, WindowIndex
from welltuned.schema.part import Part
from welltuned.tasks.rows import read_rows

if TYPE_CHECKING:
    import torch

    from welltuned.tasks.parts import Batch

HEAD = 0.25
"""The beginning's share of what is read of both ends: 128 of 510 tokens (Sun et al. 2019, arXiv
1905.05583)."""


class LongTexts(Part):
    """What is read of texts that are longer than a row of tokens may be."""

    shorthand: ClassVar[str | None] = "type"
    reads_plainly: ClassVar[bool] = False
    """Whether the tokenizer cuts texts by itself, so that whoever has it reads the same."""
    in_windows: ClassVar[bool] = False
    """Whether a text may be several rows."""

    type: str

    @property
    def further_outputs(self) -> tuple[str, ...]:
        """Names of what the head puts out besides the task's own outputs, after these."""
        return ()

    @property
    def own_length(self) -> int | None:
        """The tokens of a row that were asked for; None where `task.max_length` says it."""
        return None

    @property
    def own_stride(self) -> int | None:
        """The tokens from one row's beginning to the next's that were asked for; or None."""
        return None

    def to_dict(self) -> dict[str, JsonValue]:
        """What is done, with nothing left to choose: for artifacts and other readers."""
        return self.model_dump(mode="json")

    @abstractmethod
    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        """The rows that are read of a text, each the places of its tokens, by what they belong to.

        `parts_T` are those of `welltuned.data.tokens.windows`.
        """

    def index(self, numbers: Sequence[int]) -> WindowIndex | None:
        """Which rows are whose, of texts with these numbers of rows; None where each has one."""
        return None

    def pool(self, rows_RK: torch.Tensor, table_BW: torch.Tensor) -> torch.Tensor:
        """What a text's rows say together (B, K)."""
        raise NotImplementedError

    def outputs(
        self, read: Callable[[Batch], torch.Tensor], batch: Batch, number: int
    ) -> torch.Tensor:
        """What a head says of each text of a batch (B, K); `read` tells what it says of rows.

        `number` is K: that of the task's own outputs.
        """
        inputs = {name: tensor for name, tensor in batch.items() if name != WINDOWS}
        if WINDOWS not in batch:
            rows_RK = read(inputs)
            return rows_RK[:, :number] if self.further_outputs else rows_RK
        return self.pool(read_rows(read, inputs), batch[WINDOWS])
