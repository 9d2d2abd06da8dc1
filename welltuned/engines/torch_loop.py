"""The plain PyTorch training loop.

    for each planned step, a list of micro-batches:
        the strategy may change what trains
        for each micro-batch:
            loss = sum of losses / count of the whole step
            backward
        clip, optimizer step (none where anything is not finite), learning rate
        when due: save everything, score the validation split, keep the best weights

Nothing else happens. What looks unusual is so for a reason: the loss is
divided once, by the count of the whole optimizer step, so accumulation changes
nothing; frozen modules stay in eval mode; gradients are dropped and not zeroed,
so that AdamW leaves frozen weights alone; and the order of examples is a pure
function of (seed, epoch).
"""

from __future__ import annotations

import torch

from welltuned.engines.feed import fed
from welltuned.engines.job import Job, Outcome
from welltuned.engines.loop_state import LoopState
from welltuned.runs.stopping import at_boundaries


def fit_with_loop(job: Job) -> Outcome:
    """Train `job.model` in place. Raises `NotFinite` when a loss or gradient is not finite."""
    state = LoopState(job)
    with at_boundaries():
        state.begin()
        for step in fed(job, state.left()):
            gradients = state.gradients.take(step, torch.Tensor.backward)
            state.optimizer.step()
            state.schedule.step()
            state.optimizer.zero_grad(set_to_none=True)
            state.after(step, gradients)
            if state.outcome.stopped_early:
                break
    return state.finish()
