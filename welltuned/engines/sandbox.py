"""Sandbox: try training steps on a model, then restore weights, modes and random state exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from welltuned.engines.job import Job


@contextmanager
def untouched(job: Job, steps: bool = True) -> Iterator[None]:
    """Context in which steps may be taken; afterwards all is restored, bit for bit.

    Without `steps` there are none, and no memory is taken for a copy of the weights.

    Weights, buffers, what trains, the modes of modules and the random numbers to come.
    """
    model = job.model
    kept = [(tensor, tensor.detach().clone()) for tensor in _may_change(job, steps)]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    random = RandomNumbers.now(job.device)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
        model.zero_grad(set_to_none=True)
        for parameter, trained in flags:
            parameter.requires_grad_(trained)
        for module, mode in modes:
            module.training = mode
        random.put_back()


@dataclass(frozen=True)
class RandomNumbers:
    """The state of torch's random numbers at some moment, in this process."""

    cpu: torch.Tensor
    gpus: list[torch.Tensor]

    @classmethod
    def now(cls, device: torch.device) -> RandomNumbers:
        gpus = torch.cuda.get_rng_state_all() if device.type == "cuda" else []
        return cls(torch.get_rng_state(), gpus)

    def put_back(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.gpus:
            torch.cuda.set_rng_state_all(self.gpus)


def _may_change(job: Job, steps: bool) -> Iterator[torch.Tensor]:
    for group in job.groups if steps else ():
        yield from group.parameters
    yield from job.model.buffers()
