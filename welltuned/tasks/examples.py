"""A split ready for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from welltuned.data.encoding import Encoded
from welltuned.data.records import Records
from welltuned.schema.messages import Message


@dataclass(frozen=True)
class Examples:
    """A split ready for a model.

    Encoded inputs, targets (N, …) or None, and the records they came from.
    """

    encoded: Encoded
    targets: np.ndarray | None
    records: Records
    said: tuple[Message, ...] = field(default=(), kw_only=True)
    """What a person should know of how they are read; the value `split` is left empty."""

    def __len__(self) -> int:
        return len(self.encoded)

    def notes_of(self, split: str) -> list[Message]:
        """`said` of the split of this name."""
        return [
            {**one, "values": {**one["values"], "split": split}}
            if "split" in one["values"]
            else one
            for one in self.said
        ]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example (N)."""
        return self.encoded.lengths

    @property
    def sizes(self) -> np.ndarray | None:
        """The encoded rows per example (N); None where each is one."""
        return None

    @property
    def cut(self) -> np.ndarray:
        """Which examples were too long to be read whole (N)."""
        return self.encoded.truncated

    def rows_of(self, indices: Sequence[int]) -> Sequence[int]:
        """The encoded rows of some examples, where an example is not just one."""
        return indices

    def in_epoch(self, seed: int, epoch: int) -> Examples:
        """The examples as an epoch (from 0) has them, where epochs differ.

        What is drawn follows from the arguments and each example alone.
        """
        return self

    def take(self, indices: Sequence[int]) -> Examples:
        """The examples at `indices`, in that order."""
        return Examples(
            self.encoded.take(indices),
            None if self.targets is None else self.targets[list(indices)],
            self.records.take(indices),
        )

    def join(self, other: Examples) -> Examples:
        """These examples and then those, of the same problem."""
        return Examples(
            self.encoded.join(other.encoded),
            None
            if self.targets is None or other.targets is None
            else np.concatenate([self.targets, other.targets]),
            self.records.join(other.records),
        )
