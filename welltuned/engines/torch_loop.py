"""The plain PyTorch training loop.

    for each planned step, a list of micro-batches:
        the strategy may change what trains
        for each micro-batch:
            loss = sum of losses / count of the whole step
            backward
        clip, optimizer step, learning rate
        when due: score the validation split, keep the best weights

Nothing else happens. What looks unusual is so for a reason: the loss is
divided once, by the count of the whole optimizer step, so accumulation changes
nothing; frozen modules stay in eval mode; gradients are dropped and not zeroed,
so that AdamW leaves frozen weights alone; and the order of examples is a pure
function of (seed, epoch).
"""

from __future__ import annotations

import math

import numpy as np
import torch

from welltuned.engines import distributed
from welltuned.engines.accumulate import accumulate, advance, not_finite
from welltuned.engines.best_checkpoint import Validator
from welltuned.engines.feed import fed
from welltuned.engines.job import Job, Outcome
from welltuned.engines.optimizer import (
    build_optimizer,
    build_schedule,
    clip_gradients,
    learning_rate_at,
)
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter
from welltuned.models.freezing import set_training_modes


def fit_with_loop(job: Job) -> Outcome:
    """Train `job.model` in place. Raises `RunFailed` when a loss or gradient is not finite."""
    plan = StepPlan.of(job.batches, job.training)
    optimizer = build_optimizer(job.groups, job.training)
    schedule = build_schedule(optimizer, plan.total, job.training)
    validator = Validator.of(job)
    meter = Meter(plan.total)

    torch.manual_seed(job.training.seed + distributed.rank())
    set_training_modes(job.model)
    job.listener.started(plan.total)
    for step in fed(job, plan):
        meter.start()
        advance(job, step, meter)
        loss = accumulate(job, step, meter, torch.Tensor.backward)
        norm = clip_gradients(job.groups, job.training.max_grad_norm)
        if not math.isfinite(norm):
            raise not_finite("gradient", job, np.concatenate(step.micro_batches))
        learning_rate = learning_rate_at(step.number, plan.total, job.training)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        job.listener.stepped(meter.finish(step, loss, learning_rate, norm))
        validator.after(step, plan.total, job, meter.outcome)
        if meter.outcome.stopped_early:
            break
    return meter.outcome
