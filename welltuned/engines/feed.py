"""The feed: batches of planned steps on the host, made while the device is busy with the last one.

On a GPU a thread collates a few steps ahead, into pinned memory, from which copies need not be
waited for. On a CPU the cores that would collate are those that compute, so there a batch is made
when it is needed. Either way the batches are the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from welltuned.engines import distributed
from welltuned.engines.job import Job
from welltuned.engines.step_plan import PlannedStep

if TYPE_CHECKING:
    from welltuned.tasks.parts import Batch

_HOST = torch.device("cpu")
_AHEAD = 2
"""Steps whose batches wait."""


def fed(job: Job, steps: Iterable[PlannedStep]) -> Iterator[PlannedStep]:
    """The same steps, in order; where that helps, with batches that are made ahead."""
    if not runs_ahead(job.device):
        yield from steps
        return
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as maker:
        waiting: deque[PlannedStep] = deque()
        for step in steps:
            waiting.append(replace(step, made=maker.submit(_collated, job, step)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting


def runs_ahead(device: torch.device) -> bool:
    """Whether batches are made ahead for this device."""
    return device.type == "cuda"


def micro_batches_of(job: Job, step: PlannedStep) -> list[Batch]:
    """This process's share of a step's micro-batches, on the host."""
    return _collated(job, step) if step.made is None else step.made.result()


def spare_batches(job: Job, step: PlannedStep, own: int) -> list[Batch]:
    """Of a sharded model all processes pass through equally often, for each needs what the others
    hold. So who has fewer micro-batches than others, `own`, reads one more, for nothing.
    """
    if not job.sharded:
        return []
    most = -(-len(step.micro_batches) // distributed.processes())
    return [job.collate(step.micro_batches[0], _HOST, step) for _ in range(most - own)]


def _collated(job: Job, step: PlannedStep) -> list[Batch]:
    mine = step.micro_batches[distributed.rank() :: distributed.processes()]
    batches = [job.collate(indices, _HOST, step) for indices in mine]
    return [_pinned(batch) for batch in batches] if job.device.type == "cuda" else batches


def _pinned(batch: Batch) -> Batch:
    return {name: tensor.pin_memory() for name, tensor in batch.items()}
