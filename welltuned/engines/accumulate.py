"""Gradient accumulation: the gradients of one optimizer step, shared by both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from welltuned.engines import distributed
from welltuned.engines.device import autocast
from welltuned.engines.feed import micro_batches_of
from welltuned.engines.job import Job
from welltuned.engines.memory_faults import out_of_memory_together
from welltuned.engines.step_plan import PlannedStep
from welltuned.engines.throughput import Meter
from welltuned.errors import Fault, RunFailed
from welltuned.models.freezing import set_training_modes

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
    losses = []
    with out_of_memory_together():
        for batch in _with_step_mean(job, batches, count):
            with meter.measuring(batch):
                with autocast(job.precision, job.device):
                    # Without anything to learn, loss and count are 0.
                    summed = job.problem.objective.loss(job.model, _moved(batch, job.device))
                    part = summed / (count or 1.0)
                backward(part)
            losses.append(part.detach())
    own = torch.stack(losses).tolist() if losses else []  # read from the device at once
    distributed.sum_gradients(job.model.parameters())
    if step.number == 1:
        _require_gradients(job)
    meter.penalty = sum(guard.penalise(step.number) for guard in job.guards)
    return StepLoss(distributed.totals(sum(own, 0.0))[0], own)


def _with_step_mean(job: Job, batches: list[Batch], count: float) -> list[Batch]:
    """The batches, with the mean over the whole step of what their loss compares with, if any.

    So it is that of the step, however that is cut into micro-batches.
    """
    objective = job.problem.objective
    if not objective.needs_step_mean:
        return batches
    with torch.no_grad(), autocast(job.precision, job.device):
        sums = [objective.step_sum(job.model, _moved(batch, job.device)) for batch in batches]
    (whole,) = distributed.totals(float(torch.stack(sums).sum()) if sums else 0.0)
    return [{**batch, "step_mean": torch.tensor(whole / (count or 1.0))} for batch in batches]


def _moved(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


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
