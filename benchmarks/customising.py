"""One wish, fulfilled on both engines: skip any optimizer step whose gradient is far too large.

The functions below are what a person has to write, and `benchmarks/engines.py` counts
their lines. On the plain loop the whole loop stands in one's own hands; on the `Trainer`
one method is overridden, and what happens around it has to be known.
"""

from __future__ import annotations

import torch

from welltuned.engines.accumulate import accumulate, advance
from welltuned.engines.best_checkpoint import Validator
from welltuned.engines.hf_trainer import JobTrainer
from welltuned.engines.job import Job, Outcome
from welltuned.engines.optimizer import build_optimizer, build_schedule, clip_gradients
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter
from welltuned.models.freezing import set_training_modes

LARGEST = 2.0


def plain(job: Job) -> Outcome:
    """`engine: customising.plain`"""
    plan = StepPlan.of(job.batches, job.training)
    optimizer = build_optimizer(job.groups, job.training)
    schedule = build_schedule(optimizer, plan.total, job.training)
    validator, meter = Validator.of(job), Meter(plan.total)
    torch.manual_seed(job.training.seed)
    set_training_modes(job.model)
    job.listener.started(plan.total)
    for step in plan:
        meter.start()
        advance(job, step, meter)
        loss = accumulate(job, step, meter, torch.Tensor.backward)
        norm = clip_gradients(job.groups, job.training.max_grad_norm)
        rate = float(schedule.get_last_lr()[0]) / job.groups[0].learning_rate_scale
        if norm <= LARGEST:
            optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        job.listener.stepped(meter.finish(step, loss, rate, norm))
        validator.after(step, plan.total, job, meter.outcome)
    return meter.outcome


class SkippingTrainer(JobTrainer):
    """The same as a subclass: AdamW passes over weights without a gradient."""

    def training_step(self, model, inputs, *args):  # type: ignore[no-untyped-def]
        loss = super().training_step(model, inputs, *args)
        if self.norm > LARGEST and self.optimizer is not None:
            self.optimizer.zero_grad(set_to_none=True)
        return loss


def hf(job: Job) -> Outcome:
    """`engine: customising.hf`"""
    trainer = SkippingTrainer(job)
    trainer.train()
    return trainer.meter.outcome
