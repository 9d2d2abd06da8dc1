"""A split ready for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from welltuned.data.encoding import Encoded, pad
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
    def follows_from_tokens(self) -> bool:
        """Whether what a model makes of a row follows from the row's tokens alone."""
        return True

    @property
    def counted(self) -> Mapping[str, int]:
        """What was counted while they were encoded, besides tokens, for `data.json`."""
        return {}

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

    def padded(self, indices: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
        """What a model reads of some examples, without targets, padded to the longest."""
        return pad(self.encoded, indices, pad_id)

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
