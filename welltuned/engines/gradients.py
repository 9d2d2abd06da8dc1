"""The gradients of one optimizer step, ready to be stepped with; shared by both engines.

Where memory runs out, the step is made in smaller micro-batches (`memory_backoff.py`).

A step whose loss or gradient is no number leaves none, and the optimizer then changes nothing, not
even its moments: without gradients AdamW passes over a weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from welltuned.engines import distributed
from welltuned.engines.accumulate import StepLoss, accumulate, advance
from welltuned.engines.job import Job
from welltuned.engines.memory_backoff import MicroBatches
from welltuned.engines.not_finite import not_finite, study
from welltuned.engines.optimizer import clip_gradients
from welltuned.engines.step_plan import PlannedStep
from welltuned.engines.throughput import Meter

Backward = Callable[[torch.Tensor], object]


@dataclass(frozen=True)
class Gradients:
    """What is known of the gradients of a step."""

    loss: float
    norm: float
    """Before clipping."""

    @property
    def flaw(self) -> Literal["loss", "gradient"] | None:
        """What is no number; the step is not taken then."""
        if not math.isfinite(self.loss):
            return "loss"
        return None if math.isfinite(self.norm) else "gradient"


class GradientTaker:
    """Computes the gradients of one step after another."""

    def __init__(self, job: Job, meter: Meter) -> None:
        self._job, self._meter = job, meter
        self.micro_batches = MicroBatches(job, meter)

    def take(self, step: PlannedStep, backward: Backward) -> Gradients:
        """Leave the clipped gradients of a step in the weights, or none where there is a flaw.

        Raises `NotFinite` for a flaw beyond `training.max_skipped_steps`.
        """
        job, meter = self._job, self._meter
        meter.start()
        advance(job, step, meter)
        loss = self.micro_batches.within_memory(
            step, lambda fitting: accumulate(job, fitting, meter, backward)
        )
        norm = clip_gradients(job.groups, job.training.max_grad_norm)
        gradients = Gradients(loss.total, norm)
        if gradients.flaw is not None:
            self._skip(self.micro_batches.fit(step), loss, gradients)
        return gradients

    def _skip(self, step: PlannedStep, loss: StepLoss, gradients: Gradients) -> None:
        """Save what the step was made of, drop its gradients, and stop where that is too often."""
        job, outcome = self._job, self._meter.outcome
        found = study(job, step, loss, gradients.norm)
        place = job.study(step.number, found) if distributed.is_main() else None
        job.model.zero_grad(set_to_none=True)
        if outcome.skipped_steps >= job.training.max_skipped_steps:
            raise not_finite(str(gradients.flaw), step, found, outcome.skipped_steps, place)
        outcome.skipped_steps += 1
