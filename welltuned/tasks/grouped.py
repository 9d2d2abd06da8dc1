"""Prompts whose responses are encoded one row each, and what is known of them.

An example is a prompt with all its responses, so that the responses of a pair meet in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from welltuned.data.layouts.preferences import PreferencePair
from welltuned.data.tokens import ragged
from welltuned.data.tokens.encoding import pad
from welltuned.data.tokens.windows import NO_ROW
from welltuned.tasks.examples import Examples


@dataclass(frozen=True)
class ResponseTarget:
    """What is known of one record's K responses."""

    lengths_K: np.ndarray
    """Characters."""
    pairs: tuple[PreferencePair, ...] = ()
    score: float | None = None
    reference_K: np.ndarray | None = None
    """What the untuned model makes of each, where the problem compares with that."""


@dataclass(frozen=True)
class Judged:
    """The targets of N prompts with P pairs, end to end."""

    starts: np.ndarray
    """Where each prompt's pairs start (N + 1)."""
    pairs_P2: np.ndarray
    """The better and the worse, counted among the prompt's own responses."""
    margins_P: np.ndarray
    weights_P: np.ndarray
    scores_N: np.ndarray
    """Not a number where none is given."""

    @classmethod
    def of(cls, targets: Iterable[ResponseTarget]) -> Judged:
        targets = list(targets)
        pairs = [pair for target in targets for pair in target.pairs]
        table_P4 = np.array(
            [(pair.winner, pair.loser, pair.margin, pair.weight) for pair in pairs],
            dtype=np.float64,
        ).reshape(-1, 4)
        margins_P, weights_P = table_P4[:, 2:].T.astype(np.float32)
        scores = [np.nan if target.score is None else target.score for target in targets]
        return cls(
            ragged.offsets_of([len(target.pairs) for target in targets]),
            table_P4[:, :2].astype(np.int64),
            margins_P,
            weights_P,
            np.array(scores, dtype=np.float32),
        )


@dataclass(frozen=True)
class Grouped(Examples):
    """N prompts with M responses, each an encoded row; or several, where `windows` says so.

    Targets are N times `ResponseTarget`.
    """

    starts: np.ndarray
    """Where each prompt's responses start (N + 1)."""
    alike: tuple[int, ...] = ()
    """The lines of pairs that were left out, since what is read of both is the same."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example's longest response (N), to which all its others are padded."""
        return np.maximum.reduceat(super().lengths, self.starts[:-1])

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.starts)

    @property
    def width(self) -> int:
        """As many responses as a prompt has at most."""
        return int(self.sizes.max(initial=1))

    @property
    def cut(self) -> np.ndarray:
        return np.logical_or.reduceat(super().cut, self.starts[:-1])

    def rows_of(self, indices: Sequence[int]) -> Sequence[int]:
        return super().rows_of(self._responses(indices))

    def window_table(self, indices: Sequence[int]) -> dict[str, np.ndarray]:
        return super().window_table(self._responses(indices))

    def record_of(self, text: int) -> int:
        return int(np.searchsorted(self.starts, text, side="right")) - 1

    def _responses(self, indices: Sequence[int]) -> list[int]:
        responses, _ = ragged.take(self.starts, indices)
        return responses.tolist()

    @cached_property
    def judged(self) -> Judged:
        """The targets as arrays."""
        assert self.targets is not None
        return Judged.of(self.targets)

    @cached_property
    def references_M(self) -> np.ndarray:
        """What the untuned model makes of each row; not a number while that is not known."""
        assert self.targets is not None
        known = [
            np.full(len(t.lengths_K), np.nan) if t.reference_K is None else t.reference_K
            for t in self.targets
        ]
        return np.concatenate(known).astype(np.float32)

    def take(self, indices: Sequence[int]) -> Grouped:
        """The prompts at `indices`, in that order."""
        encoded, windows = self._whole(self._responses(indices))
        return replace(
            self,
            encoded=encoded,
            windows=windows,
            targets=None if self.targets is None else self.targets[list(indices)],
            records=self.records.take(indices),
            starts=ragged.offsets_of(self.sizes[list(indices)]),
        )


def collate(examples: Examples, indices: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
    """The rows of some prompts as one padded batch, and how they belong together.

    `grid` (B, W) holds the numbers of each prompt's responses, and `NO_ROW` where it has fewer than
    the split's widest. With targets: `pairs` (Q, 2) of them, the better first, `margins` and
    `weights` (Q), and `scores` (B), not a number where none is given. Where responses are several
    rows, `windows` says which.
    """
    assert isinstance(examples, Grouped)
    batch = pad(examples.encoded, examples.rows_of(indices), pad_id)
    batch |= examples.window_table(indices)
    sizes = examples.sizes[list(indices)]
    first_B = ragged.offsets_of(sizes)[:-1]
    places_W = np.arange(examples.width)
    grid_BW = first_B[:, None] + places_W
    batch["grid"] = np.where(places_W < sizes[:, None], grid_BW, NO_ROW)
    if examples.targets is None:
        return batch
    judged = examples.judged
    where_Q, offsets = ragged.take(judged.starts, indices)
    first_Q1 = np.repeat(first_B, np.diff(offsets))[:, None]
    batch["pairs"] = first_Q1 + judged.pairs_P2[where_Q]
    batch["margins"], batch["weights"] = judged.margins_P[where_Q], judged.weights_P[where_Q]
    batch["scores"] = judged.scores_N[list(indices)]
    return batch
