"""Groups of texts as examples: each is several rows, which meet in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from welltuned.tasks.examples import Examples


@dataclass(frozen=True)
class Groups(Examples):
    """G groups of S of the texts. Targets stay those of the texts."""

    rows_GS: np.ndarray
    """The texts of each group; a text may stand in many."""

    def __len__(self) -> int:
        return len(self.rows_GS)

    @property
    def size(self) -> int:
        """Texts of a group."""
        return self.rows_GS.shape[1]

    @property
    def units(self) -> int:
        return self.size

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each group's longest text (G), to which all its others are padded."""
        return self.encoded.lengths[self.rows_GS].max(axis=1)

    @property
    def sizes(self) -> np.ndarray:
        return np.full(len(self), self.size)

    @property
    def cut(self) -> np.ndarray:
        return self.encoded.truncated[self.rows_GS].any(axis=1)

    def rows_of(self, indices: Sequence[int]) -> list[int]:
        return self.rows_GS[list(indices)].ravel().tolist()

    def take(self, indices: Sequence[int]) -> Groups:
        """The groups at `indices`, in that order."""
        return replace(self, rows_GS=self.rows_GS[list(indices)])
