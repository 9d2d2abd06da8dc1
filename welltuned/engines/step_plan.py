"""Step plan: every optimizer step of a training, known in full before the first."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.batching import BatchPlan
from welltuned.engines import distributed
from welltuned.engines.config import ResolvedTraining
from welltuned.strategies import Progress
from welltuned.tasks import Examples

if TYPE_CHECKING:
    from welltuned.tasks.parts import Batch


def plan_batches(examples: Examples, training: ResolvedTraining) -> BatchPlan:
    """Which training examples go into which step."""
    return BatchPlan(
        lengths=examples.lengths,
        rows=examples.sizes,
        batch_size=max(1, training.per_device_train_batch_size // examples.units),
        accumulation=training.gradient_accumulation_steps,
        seed=training.seed,
        by_length=training.group_by_length,
        max_tokens=training.max_tokens_per_step,
        processes=distributed.processes(),
    )


@dataclass(frozen=True)
class PlannedStep:
    """One optimizer step to come."""

    number: int
    """Counted from 1."""
    progress: Progress
    """How far training is before it."""
    epoch_after: float
    micro_batches: list[np.ndarray]
    """Indices of examples, one array a forward pass."""
    ends_epoch: bool
    made: Future[list[Batch]] | None = None
    """Its batches, where they are made ahead (`feed.fed`)."""

    @property
    def epoch(self) -> int:
        """The epoch that it belongs to, counted from 0."""
        return int(self.progress.epoch)


@dataclass(frozen=True)
class StepPlan:
    """All steps of a training, in order."""

    batches: BatchPlan
    steps_per_epoch: tuple[int, ...]
    """One number for each epoch that is begun."""
    total: int

    @classmethod
    def of(cls, batches: BatchPlan, training: ResolvedTraining) -> StepPlan:
        """As many steps as `max_steps` or `num_train_epochs` ask for; at least one."""
        if training.max_steps is not None:
            steps = batches.count(1)
            while sum(steps) < training.max_steps:
                steps = batches.count(2 * len(steps))
            epochs = bisect_left(list(accumulate(steps)), training.max_steps) + 1
            return cls(batches, tuple(steps[:epochs]), training.max_steps)
        assert training.num_train_epochs is not None, "a resolved training has epochs or steps"
        epochs = math.ceil(training.num_train_epochs)
        steps = batches.count(epochs)
        unused = math.floor((epochs - training.num_train_epochs) * steps[-1])
        return cls(batches, tuple(steps), max(1, sum(steps) - unused))

    def __iter__(self) -> Iterator[PlannedStep]:
        return self.after(0)

    def after(self, taken: int) -> Iterator[PlannedStep]:
        """The steps that are left once so many were taken."""
        for epoch, reached in enumerate(accumulate(self.steps_per_epoch)):
            if reached > taken:
                yield from (step for step in self.epoch(epoch) if step.number > taken)

    def epoch(self, epoch: int) -> Iterator[PlannedStep]:
        """The steps of one epoch (from 0), as far as the total reaches."""
        before, size = sum(self.steps_per_epoch[:epoch]), self.steps_per_epoch[epoch]
        for i, micro_batches in enumerate(self.batches.steps(epoch)[: self.total - before]):
            yield PlannedStep(
                number=before + i + 1,
                progress=Progress((before + i) / self.total, epoch + i / size),
                epoch_after=epoch + (i + 1) / size,
                micro_batches=micro_batches,
                ends_epoch=i + 1 == size,
            )
