"""Batch sampler: which examples form each step, as a pure function of (seed, epoch).

Batches hold texts of like length, so that little is padded, and still change
from epoch to epoch: all examples are shuffled, cut into mega-batches of many
batches, each sorted by length and cut into batches, and those shuffled again.
One optimizer step takes one *global* batch; it is divided into micro-batches
afterwards, so how often gradients are accumulated changes no step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MEGA = 50
"""Batches per mega-batch: enough to sort well, few enough to stay random."""
_PADDING, _SPARE = 1 / 8, 256
"""The most padding of a batch that is only read: this share of it, or so many tokens, which cost
less than one more pass."""
_PASSES = 64
"""How many passes over next to nothing take as long as a batch of `max_tokens`: on a CPU one costs
MiniLM as much as 28 tokens, beside batches of 2,048."""


@dataclass(frozen=True)
class BatchPlan:
    """How examples become steps.

    A step holds `batch_size` · `accumulation` · `processes` examples or, with `max_tokens`, as
    many as fit into that many tokens, padding included (and no more examples than
    that product).
    """

    lengths: np.ndarray
    batch_size: int
    accumulation: int = 1
    seed: int = 0
    by_length: bool = True
    max_tokens: int | None = None
    rows: np.ndarray | None = None
    """Rows of a batch that each example fills; one, where nothing is given."""
    processes: int = 1
    """Processes that share each step; they take its micro-batches in turn."""

    @property
    def _per_step(self) -> int:
        return self.batch_size * self.accumulation * self.processes

    def steps(self, epoch: int) -> list[list[np.ndarray]]:
        """The epoch's optimizer steps, each a list of micro-batches of example indices."""
        return [self.cut(batch) for batch in self._global_batches(epoch)]

    def count(self, epochs: int) -> list[int]:
        """Steps in each of the first `epochs` epochs."""
        if self.max_tokens is None:
            return [-(-len(self.lengths) // self._per_step)] * epochs
        return [len(self._global_batches(epoch)) for epoch in range(epochs)]

    def _global_batches(self, epoch: int) -> list[np.ndarray]:
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self.lengths))
        size = self._per_step
        if not self.by_length and self.max_tokens is None:
            return [order[start : start + size] for start in range(0, len(order), size)]
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * _MEGA):
            mega = order[start : start + size * _MEGA]
            if self.by_length:
                # Longest first; the stable sort keeps the shuffle among equals.
                mega = mega[np.argsort(-self.lengths[mega], kind="stable")]
            batches += self._fill(mega, size)
        return [batches[i] for i in random.permutation(len(batches))]

    def _fill(self, ordered: np.ndarray, size: int) -> list[np.ndarray]:
        if self.max_tokens is None:
            return [ordered[start : start + size] for start in range(0, len(ordered), size)]
        batches: list[np.ndarray] = []
        while len(ordered):
            some = ordered[:size]
            tokens = np.maximum.accumulate(self.lengths[some]) * np.cumsum(self._rows(some))
            fits = max(1, int(np.searchsorted(tokens, self.max_tokens, side="right")))
            batches.append(ordered[:fits])
            ordered = ordered[fits:]
        return batches

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return np.ones_like(indices) if self.rows is None else self.rows[indices]

    def cut(self, batch: np.ndarray) -> list[np.ndarray]:
        """The micro-batches of a step."""
        parts = (
            np.array_split(batch, self.accumulation * self.processes)
            if self.max_tokens
            else [batch[i : i + self.batch_size] for i in range(0, len(batch), self.batch_size)]
        )
        return [part for part in parts if len(part)]


def evaluation_batches(
    lengths: np.ndarray, batch_size: int, max_tokens: int | None = None
) -> list[np.ndarray]:
    """Every example once, in batches of like length; with `max_tokens`, fewer of the long ones.

    A batch ends where too much of it would be padding. The order of examples is of no account to
    scores.
    """
    batches: list[np.ndarray] = []
    spare = _SPARE if max_tokens is None else min(_SPARE, max_tokens // _PASSES)
    for batch in batches_within(lengths, batch_size, max_tokens):
        while len(batch):
            size = _little_padded(lengths[batch], spare)
            batches.append(batch[:size])
            batch = batch[size:]
    return batches


def _little_padded(lengths: np.ndarray, spare: int) -> int:
    """How many of a batch, the longest first, can be read together."""
    positions = lengths[0] * np.arange(1, len(lengths) + 1)
    padding = positions - np.cumsum(lengths)
    much = (padding > spare) & (padding > _PADDING * positions)
    return int(much.argmax()) if much.any() else len(lengths)


def batches_within(
    lengths: np.ndarray, batch_size: int, max_tokens: int | None = None
) -> list[np.ndarray]:
    """As `evaluation_batches`, but as full as may be, however much is padded."""
    order = np.argsort(-lengths, kind="stable")
    batches: list[np.ndarray] = []
    while len(order):
        size = batch_size
        if max_tokens is not None:
            size = min(size, max(1, max_tokens // max(1, int(lengths[order[0]]))))
        batches.append(order[:size])
        order = order[size:]
    return batches


def padding_fraction(lengths: np.ndarray, batches: Sequence[np.ndarray]) -> float:
    """The share of positions in these batches that hold no real token."""
    real = sum(int(lengths[batch].sum()) for batch in batches)
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1 - real / padded if padded else 0.0
