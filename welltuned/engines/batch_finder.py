"""Batch-size finder: times real steps at micro-batch sizes 1, 2, 4, …

The optimizer step stays the same: its examples are only split into more or fewer micro-batches, and
the loss is a sum divided once. Each size is first tried on the longest examples, so that what is
found also fits later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import cast

import numpy as np
import torch

from welltuned.engines.device import autocast
from welltuned.engines.job import Job
from welltuned.engines.memory_faults import is_out_of_memory
from welltuned.engines.sandbox import untouched
from welltuned.engines.step_plan import StepPlan
from welltuned.models.freezing import set_training_modes
from welltuned.runs import process_memory
from welltuned.runs.results_schema import BatchSizeSearch
from welltuned.schema.units import brief_number
from welltuned.strategies.base import END

_STEPS = 3
"""Optimizer steps that are timed at each size."""
_AS_GOOD = 0.97
"""A smaller size is taken when it has this share of the best speed: it needs less memory."""
_ROOM = 0.8
"""The share of free memory that a size may be expected to take."""


@dataclass(frozen=True)
class Try:
    """One size."""

    size: int
    examples_per_second: float | None
    """None where it does not fit into memory."""


@dataclass(frozen=True)
class BatchSearch:
    """All sizes that were tried, and the one to take."""

    tries: tuple[Try, ...]
    size: int
    reason: str

    def as_dict(self) -> BatchSizeSearch:
        return cast(BatchSizeSearch, asdict(self))


def find_batch_size(
    job: Job, progress: Callable[[int, int], None] = lambda done, total: None
) -> BatchSearch:
    """The fastest size that fits. The job reads whole steps at once; it is left as it was."""
    steps = [
        np.concatenate(step.micro_batches)
        for step in islice(StepPlan.of(job.batches, job.training), _STEPS)
    ]
    sizes = candidates(job.training.examples_per_step)
    with untouched(job):
        job.strategy.advance(job.model, job.anatomy, END)
        set_training_modes(job.model)
        tries = []
        for found in _try(job, steps, sizes):
            tries.append(found)
            progress(len(tries), len(sizes))
    progress(len(sizes), len(sizes))
    return choose_batch_size(tries)


def candidates(whole: int) -> list[int]:
    """Sizes that divide a step evenly, each at least twice the one before, and the whole."""
    sizes = [1]
    for size in range(2, whole + 1):
        if whole % size == 0 and (size >= 2 * sizes[-1] or size == whole):
            sizes.append(size)
    return sizes


def choose_batch_size(tries: list[Try]) -> BatchSearch:
    """The smallest size that is about as fast as the fastest. The first try always fits."""
    rates = {found.size: found.examples_per_second or 0.0 for found in tries}
    best = max(rates.values())
    size = min(size for size, rate in rates.items() if rate >= _AS_GOOD * best)
    told = ", ".join(
        f"{found.size}: {brief_number(found.examples_per_second)}"
        if found.examples_per_second is not None
        else f"{found.size}: does not fit"
        for found in tries
    )
    return BatchSearch(tuple(tries), size, f"examples/s by size: {told}")


def _try(job: Job, steps: list[np.ndarray], sizes: list[int]) -> Iterator[Try]:
    """Each size in turn, as long as they fit."""
    longest = np.argsort(-job.examples.lengths, kind="stable")
    grown = 0
    for size, larger in zip(sizes, [*sizes[1:], 0], strict=True):
        held = process_memory.held()
        try:
            forward_backward(job, longest[:size])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == sizes[0]:
                raise
            yield Try(size, None)
            return
        grown = max(grown, process_memory.held() - held)
        yield Try(size, _speed(job, steps, size))
        if not _would_fit(job, grown * larger // size):
            yield Try(larger, None)
            return


def _would_fit(job: Job, needed: int) -> bool:
    """Whether a size can be tried: without a GPU, running out of memory ends the process."""
    left = process_memory.available() if job.device.type == "cpu" else None
    return left is None or needed < _ROOM * left


def _speed(job: Job, steps: list[np.ndarray], size: int) -> float:
    """Examples per second, after a pass to warm up."""
    batches = [step[i : i + size] for step in steps for i in range(0, len(step), size)]
    forward_backward(job, batches[0])
    start = time.perf_counter()
    for batch in batches:
        forward_backward(job, batch)
    return sum(map(len, batches)) / (time.perf_counter() - start)


def forward_backward(job: Job, indices: np.ndarray) -> None:
    """A forward and backward pass; the gradients are dropped."""
    batch = job.collate(indices, job.device)
    with autocast(job.precision, job.device):
        loss = job.problem.objective.loss(job.model, batch)
    loss.backward()
    job.model.zero_grad(set_to_none=True)
    if job.device.type == "cuda":
        torch.cuda.synchronize(job.device)
