"""One wish, fulfilled on both engines: skip any optimizer step whose gradient is far too large.

The functions below are what a person has to write, and `benchmarks/engines.py` counts
their lines. On the plain loop the whole loop stands in one's own hands; on the `Trainer`
one method is overridden, and what happens around it has to be known.
"""

from __future__ import annotations

import torch

from welltuned.engines.hf_trainer import JobTrainer
from welltuned.engines.job import Job, Outcome
from welltuned.engines.loop_state import LoopState

LARGEST = 2.0


def plain(job: Job) -> Outcome:
    """`engine: customising.plain`"""
    state = LoopState(job)
    state.begin()
    for step in state.left():
        gradients = state.gradients.take(step, torch.Tensor.backward)
        if gradients.norm <= LARGEST:
            state.optimizer.step()
        state.schedule.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.after(step, gradients)
    return state.outcome


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
    return trainer.loop.outcome
