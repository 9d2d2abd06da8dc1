"""Gradient accumulation: the gradients of one optimizer step, shared by both engines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from welltuned.engines import distributed
from welltuned.engines.device import autocast
from welltuned.engines.feed import micro_batches_of
from welltuned.engines.job import Job
from welltuned.engines.step_plan import PlannedStep
from welltuned.engines.throughput import Meter
from welltuned.errors import Fault, NotFinite, RunFailed
from welltuned.models.freezing import set_training_modes


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


def accumulate(
    job: Job, step: PlannedStep, meter: Meter, backward: Callable[[torch.Tensor], object]
) -> float:
    """Leave the gradients of the mean loss over the whole step in the weights; returns that loss.

    Each micro-batch gives the sum of its losses, divided by the count of the *whole*
    step: a mean of means would weigh examples by the micro-batch they fell into. Penalties
    come on top, once, and are not in the loss.
    Raises `NotFinite` when a loss is not finite, before it reaches any weight.
    """
    mine = step.micro_batches[distributed.rank() :: distributed.processes()]
    batches = micro_batches_of(job, step)
    # Counts are read on the host, so that a GPU is not waited for.
    (count,) = distributed.totals(sum(job.problem.objective.count(batch) for batch in batches))
    losses = []
    for batch in batches:
        with meter.measuring(batch):
            with autocast(job.precision, job.device):
                # Without anything to learn, loss and count are 0.
                summed = job.problem.objective.loss(job.model, _moved(batch, job.device))
                part = summed / (count or 1.0)
            backward(part)
        losses.append(part.detach())
    loss = _sum_of_finite(losses, job, mine)
    distributed.sum_gradients(job.model.parameters())
    if step.number == 1:
        _require_gradients(job)
    meter.penalty = sum(guard.penalise(step.number) for guard in job.guards)
    return distributed.totals(loss)[0]


def _moved(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _sum_of_finite(losses: list[torch.Tensor], job: Job, mine: Sequence[np.ndarray]) -> float:
    """The sum, read from the device at once. Raises `NotFinite` naming the first that is none."""
    values = torch.stack(losses).tolist() if losses else []
    for value, indices in zip(values, mine, strict=True):
        if not math.isfinite(value):
            raise not_finite("loss", job, indices)
    return sum(values, 0.0)


def not_finite(what: str, job: Job, indices: np.ndarray) -> NotFinite:
    """The error to raise, naming the examples."""
    rows = ", ".join(job.examples.records.id(int(i)) for i in indices[:8])
    more = ", …" if len(indices) > 8 else ""
    return NotFinite(
        Fault(
            "training.not_finite",
            "the {quantity} is not finite; no step was taken with it. The batch holds {rows}",
            None,
            "lower training.learning_rate, or set training.precision=fp32, and look at these rows",
            quantity=what,
            rows=rows + more,
        )
    )


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
