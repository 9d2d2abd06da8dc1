"""Examples that are tokens and graphs: taken, joined and padded like any others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from welltuned.data.tokens import ragged
from welltuned.tasks.dataflow.graphs import Graphs
from welltuned.tasks.examples import Examples


@dataclass(frozen=True)
class GraphExamples(Examples):
    """Rows of tokens, each with a graph whose nodes stand behind them."""

    graphs: Graphs

    @property
    def lengths(self) -> np.ndarray:
        """Tokens and nodes per example (N), those of all its rows."""
        lengths = self._row_lengths
        return lengths if self.windows is None else self.windows.positions(lengths)

    @property
    def _row_lengths(self) -> np.ndarray:
        return self.encoded.lengths + self.graphs.counts

    def example_of(self, row: int) -> int:
        """The example that has this row."""
        if self.windows is None:
            return row
        return int(np.searchsorted(self.windows.starts, row, side="right")) - 1

    @property
    def follows_from_tokens(self) -> bool:
        return False

    @property
    def counted(self) -> dict[str, int]:
        return self.graphs.counted

    def take(self, indices: Sequence[int]) -> GraphExamples:
        """The examples at `indices`, in that order."""
        encoded, windows = self._whole(indices)
        return replace(
            self,
            encoded=encoded,
            targets=None if self.targets is None else self.targets[list(indices)],
            records=self.records.take(indices),
            graphs=self.graphs.take(self.rows_of(indices)),
            windows=windows,
        )

    def join(self, other: Examples) -> GraphExamples:
        """These examples and then those, of the same problem."""
        assert isinstance(other, GraphExamples), "both are of one problem"
        both = super().join(other)
        return replace(
            self,
            encoded=both.encoded,
            targets=both.targets,
            records=both.records,
            graphs=self.graphs.join(other.graphs),
            windows=both.windows,
        )

    def padded(self, indices: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
        """A batch whose rows are tokens, nodes and padding (B, L), with the mask of its graphs.

        `attention_mask` tells of tokens alone, so that whoever pools by it passes nodes by. Of a
        node the id is that of padding: its embedding is made of its tokens'.
        """
        from welltuned.models.graph_attention import GRAPH  # brings torch

        rows = list(self.rows_of(indices))
        tokens_B = self.encoded.lengths[rows]
        width = int(self._row_lengths[rows].max())
        real_BL, where = ragged.grid(self.encoded.offsets, rows, width)
        ids_BL = np.full(real_BL.shape, pad_id, dtype=np.int64)
        ids_BL[real_BL] = self.encoded.ids[where]
        masks = [self.graphs.mask(i, int(n), width) for i, n in zip(rows, tokens_B, strict=True)]
        return {
            "input_ids": ids_BL,
            "attention_mask": real_BL.astype(np.int64),
            GRAPH: np.stack(masks),
            **self.window_table(indices),
        }
