"""A split ready for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from welltuned.data.records import Records
from welltuned.data.tokens import ragged
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.data.tokens.windows import WINDOWS, WindowIndex, window_table_of
from welltuned.schema.messages import Message, message


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
    windows: WindowIndex | None = field(default=None, kw_only=True)
    """Which encoded rows are each text's; None where each is one."""

    def __len__(self) -> int:
        return len(self.encoded if self.windows is None else self.windows)

    def notes_of(self, split: str) -> list[Message]:
        """`said` of the split of this name."""
        return [
            {**one, "values": {**one["values"], "split": split}}
            if "split" in one["values"]
            else one
            for one in self.said
        ]

    def split_texts(self, split: str) -> list[Message]:
        """That texts became more rows than they are, where a task splits the long ones."""
        texts = len(set(self.records.lines))
        if texts == len(self):
            return []
        return [
            message(
                "task.long_texts_in_rows",
                "{split}: {texts:,} texts became {rows:,} rows, because some are too long for "
                "one row.",
                split=split,
                texts=texts,
                rows=len(self),
            )
        ]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example (N), those of all its windows."""
        lengths = self.encoded.lengths
        return lengths if self.windows is None else self.windows.positions(lengths)

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
    def units(self) -> int:
        """How many of what a batch size counts each example is."""
        return 1

    @property
    def cut(self) -> np.ndarray:
        """Which examples were too long to be read whole (N)."""
        cut = self.encoded.truncated
        return cut if self.windows is None else self.windows.any(cut)

    def rows_of(self, indices: Sequence[int]) -> Sequence[int]:
        """The encoded rows of some examples, where an example is not just one."""
        return indices if self.windows is None else self.windows.rows_of(indices).tolist()

    def window_table(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        """What a batch of some examples has besides: `windows` (B, W), which of its rows are whose.

        Nothing where each example is one row.
        """
        if self.windows is None:
            return {}
        sizes = self.windows.sizes[list(indices)]
        return {WINDOWS: window_table_of(sizes)} if sizes.max(initial=1) > 1 else {}

    def record_of(self, text: int) -> int:
        """The number of the record that has this text, of those that `windows` counts."""
        return text

    def sampled(self, *seed: int) -> Examples:
        """As a training step reads them: where windows are drawn, a sample of each text's."""
        if self.windows is None or self.windows.per_step is None:
            return self
        return replace(self, windows=self.windows.sampled(*seed))

    def drawn(self, indices: Sequence[int], seed: int, step: int) -> tuple[Examples, Sequence[int]]:
        """Examples among which some are `sampled` for a step, and the places of these."""
        if self.windows is None or self.windows.per_step is None:
            return self, indices
        return self.take(indices).sampled(seed, step, indices[0]), [*range(len(indices))]

    def text_means(self, values_RH: np.ndarray) -> np.ndarray:
        """The mean over each text's encoded rows (N, …)."""
        return values_RH if self.windows is None else self.windows.means(values_RH)

    def padded(self, indices: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
        """What a model reads of some examples, without targets, padded to the longest."""
        return pad(self.encoded, self.rows_of(indices), pad_id) | self.window_table(indices)

    def in_epoch(self, seed: int, epoch: int) -> Examples:
        """The examples as an epoch (from 0) has them, where epochs differ.

        What is drawn follows from the arguments and each example alone.
        """
        return self

    def take(self, indices: Sequence[int]) -> Examples:
        """The examples at `indices`, in that order."""
        encoded, windows = self._whole(indices)
        return Examples(
            encoded,
            None if self.targets is None else self.targets[list(indices)],
            self.records.take(indices),
            windows=windows,
        )

    def _whole(self, texts: Sequence[int]) -> tuple[Encoded, WindowIndex | None]:
        """All encoded rows of some texts, and which are whose."""
        if self.windows is None:
            return self.encoded.take(texts), None
        rows, _ = ragged.take(self.windows.starts, texts)
        return self.encoded.take(rows.tolist()), self.windows.take(texts)

    def join(self, other: Examples) -> Examples:
        """These examples and then those, of the same problem."""
        return Examples(
            self.encoded.join(other.encoded),
            None
            if self.targets is None or other.targets is None
            else np.concatenate([self.targets, other.targets]),
            self.records.join(other.records),
            windows=None
            if self.windows is None or other.windows is None
            else self.windows.join(other.windows),
        )
