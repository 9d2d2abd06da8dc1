"""Step counts: micro-batches and evaluations that a forecast has to price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from welltuned.data.batching import evaluation_batches
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.step_plan import StepPlan, plan_batches
from welltuned.tasks import Examples
from welltuned.training.preparation.prepare import RunPlan

_KNOWN = 2000
"""Steps that are sampled; those that follow are assumed to be like them."""
_SHAPES = 3
"""Micro-batches that are rehearsed: the smallest, the one in the middle, the largest."""


@dataclass(frozen=True)
class StepCounts:
    """The order of a training's micro-batches."""

    examples: Examples
    plan: StepPlan
    batches: list[np.ndarray]
    """Micro-batches of the sampled steps."""
    repeated: float
    """How many times as many there will be."""

    @classmethod
    def of(cls, prepared: RunPlan, training: ResolvedTraining) -> StepCounts:
        examples = prepared.learned
        plan = StepPlan.of(plan_batches(examples, training), training)
        steps = list(islice(plan, _KNOWN))
        batches = [batch for step in steps for batch in step.micro_batches]
        return cls(examples, plan, batches, plan.total / len(steps))

    @property
    def epochs(self) -> int:
        return len(self.plan.steps_per_epoch)

    @property
    def tokens(self) -> int:
        """Tokens of all examples, each once."""
        return int(self.examples.encoded.lengths.sum())

    @property
    def read_tokens(self) -> int:
        """Tokens of all examples as an epoch reads them, be it more than once."""
        rows = list(self.examples.rows_of(range(len(self.examples))))
        return int(self.examples.encoded.lengths[rows].sum())

    @property
    def positions(self) -> np.ndarray:
        """Tokens of each micro-batch, padding included."""
        return np.array([positions(self.examples, batch) for batch in self.batches])

    def shapes(self) -> list[np.ndarray]:
        """Micro-batches from the smallest to the largest, no two of one size."""
        sizes = self.positions
        order = np.argsort(sizes, kind="stable")
        picked = [order[round(i * (len(order) - 1) / (_SHAPES - 1))] for i in range(_SHAPES)]
        return [self.batches[i] for i in {int(sizes[i]): i for i in picked}.values()]


def positions(examples: Examples, batch: np.ndarray) -> int:
    """Tokens of a batch, padding included."""
    rows = examples.rows_of(batch.tolist())
    return len(rows) * int(examples.lengths[batch].max())


def largest_look(prepared: RunPlan, size: int) -> tuple[str, np.ndarray]:
    """The split with the largest batch that is scored, and that batch."""
    largest = {
        split: max(evaluation_batches(examples.lengths, size), key=partial(positions, examples))
        for split, examples in prepared.examples.items()
        if split != "train"
    }
    split = max(largest, key=lambda split: positions(prepared.examples[split], largest[split]))
    return split, largest[split]
