"""Gradient accumulation: the gradients of one optimizer step, shared by both engines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from welltuned.engines import distributed
from welltuned.engines.device import autocast
from welltuned.engines.feed import micro_batches_of, spare_batches
from welltuned.engines.job import Job
from welltuned.engines.memory_faults import out_of_memory_together
from welltuned.engines.step_plan import PlannedStep
from welltuned.engines.throughput import Meter
from welltuned.errors import Fault, RunFailed
from welltuned.models.freezing import set_training_modes
from welltuned.models.sharding import through

if TYPE_CHECKING:
    from welltuned.tasks.parts import Batch


def advance(job: Job, step: PlannedStep, meter: Meter) -> None:
    """Let strategy and guards change what trains, and set train and eval modes accordingly."""
    changes = [
        job.strategy.advance(job.model, job.anatomy, step.progress),
        *(guard.advance(step.progress) for guard in job.guards),
    ]
    for change in filter(None, changes):
        set_training_modes(job.model)
        meter.recount()
        job.listener.changed(step.number, change)


@dataclass(frozen=True)
class StepLoss:
    """The loss of one optimizer step, which may be no number."""

    total: float
    """The mean over the whole step, of all processes."""
    own: list[float]
    """What each of this process's micro-batches adds to it."""


def accumulate(
    job: Job, step: PlannedStep, meter: Meter, backward: Callable[[torch.Tensor], object]
) -> StepLoss:
    """Leave the gradients of the mean loss over the whole step in the weights; returns that loss.

    Each micro-batch gives the sum of its losses, divided by the count of the *whole*
    step: a mean of means would weigh examples by the micro-batch they fell into. Penalties
    come on top, once, and are not in the loss.
    """
    batches = micro_batches_of(job, step)
    # Counts are read on the host, so that a GPU is not waited for.
    (count,) = distributed.totals(sum(job.problem.objective.count(batch) for batch in batches))
    spare, losses = spare_batches(job, step, len(batches)), []
    # In the middle of a pass through shared weights the others could not be told.
    with nullcontext() if job.sharded else out_of_memory_together():
        mean = _step_mean(job, batches, spare, count)
        for batch in batches:
            with meter.measuring(batch):
                # Without anything to learn, loss and count are 0.
                part = _loss_sum(job, {**batch, **mean}) / (count or 1.0)
                backward(part)
            losses.append(part.detach())
        for batch in spare:
            backward(0.0 * _loss_sum(job, {**batch, **mean}))
    own = torch.stack(losses).tolist() if losses else []  # read from the device at once
    distributed.sum_gradients(job.model.parameters())
    if step.number == 1:
        _require_gradients(job)
    meter.penalty = sum(guard.penalise(step.number) for guard in job.guards)
    return StepLoss(distributed.totals(sum(own, 0.0))[0], own)


def _loss_sum(job: Job, batch: Batch) -> torch.Tensor:
    with autocast(job.precision, job.device):
        return _through(job, job.problem.objective.loss, batch)


def _through(
    job: Job, compute: Callable[[nn.Module, Batch], torch.Tensor], batch: Batch
) -> torch.Tensor:
    there = {name: tensor.to(job.device, non_blocking=True) for name, tensor in batch.items()}
    return through(job.model, partial(compute, job.model, there))


def _step_mean(job: Job, batches: list[Batch], spare: list[Batch], count: float) -> Batch:
    """The mean over the whole step of what the loss compares with, as `step_mean`; if any.

    So it is that of the step, however that is cut into micro-batches.
    """
    objective = job.problem.objective
    if not objective.needs_step_mean:
        return {}
    with torch.no_grad(), autocast(job.precision, job.device):
        sums = [_through(job, objective.step_sum, batch) for batch in (*batches, *spare)]
    own = float(torch.stack(sums[: len(batches)]).sum()) if batches else 0.0
    return {"step_mean": torch.tensor(distributed.totals(own)[0] / (count or 1.0))}


def _require_gradients(job: Job) -> None:
    """Raise for trainable weights that the first backward pass left without a gradient."""
    dead = [
        name
        for name, parameter in job.model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    if dead:
        raise RunFailed(
            Fault(
                "training.weights_without_gradient",
                "{number} trainable weights get no gradient, '{first}' among them: the model's "
                "output does not depend on them",
                None,
                "train other weights, or check the model's forward pass",
                number=len(dead),
                first=dead[0],
            )
        )
