"""Out of memory in a step: it is taken again in smaller micro-batches, and so are all that follow.

A step's examples stay, and what their losses are divided by; so losses stay too, but for rounding.
The step is what it would have been if the smaller size had been asked for: random numbers are put
back to where they were when it began.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from welltuned.engines.job import Job
from welltuned.engines.memory_faults import is_out_of_memory
from welltuned.engines.sandbox import RandomNumbers
from welltuned.engines.step_plan import PlannedStep, plan_batches
from welltuned.engines.throughput import Meter

T = TypeVar("T")


class MicroBatches:
    """Knows how large micro-batches may be, as far as memory has told."""

    def __init__(self, job: Job, meter: Meter) -> None:
        self._job, self._meter = job, meter

    @property
    def size(self) -> int:
        """Examples of one at most."""
        backoffs = self._meter.outcome.backoffs
        return backoffs[-1]["size"] if backoffs else self._job.training.per_device_train_batch_size

    def fit(self, step: PlannedStep) -> PlannedStep:
        """The same step in micro-batches of that size."""
        if not self._meter.outcome.backoffs:
            return step
        job = self._job
        batches = plan_batches(job.examples, job.training.split_into(self.size))
        cut = batches.cut(np.concatenate(step.micro_batches))
        if len(cut) == len(step.micro_batches):
            return step
        return replace(step, micro_batches=cut, made=None)

    def within_memory(self, step: PlannedStep, compute: Callable[[PlannedStep], T]) -> T:
        """`compute(step)`, with smaller micro-batches until it fits.

        Raises what says that memory has run out where one example is too large, and where the
        weights are sharded: other processes are in the middle of a pass then.
        """
        while True:
            step = self.fit(step)
            random = RandomNumbers.now(self._job.device)
            try:
                return compute(step)
            except Exception as error:
                smallest = max(map(len, step.micro_batches)) == 1
                if not is_out_of_memory(error) or smallest or self._job.sharded:
                    raise
            # Out here nothing holds on to what the failed pass had computed.
            random.put_back()
            self._back_off(step)

    def _back_off(self, step: PlannedStep) -> None:
        job = self._job
        job.model.zero_grad(set_to_none=True)
        gc.collect()
        if job.device.type == "cuda":
            torch.cuda.empty_cache()
        size = smaller(job.training.examples_per_step, self.size)
        self._meter.outcome.backoffs.append({"step": step.number, "size": size})
        self._meter.start()
        job.listener.backed_off(step.number, size)


def smaller(whole: int, size: int) -> int:
    """The largest part of `whole` that divides it evenly and is at most half of `size`."""
    return max(part for part in range(1, max(1, size // 2) + 1) if whole % part == 0)
