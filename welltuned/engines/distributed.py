"""Data parallelism: ranks, the main process, and what processes share.

They are started by `torchrun` or `accelerate launch`.
With one process every function is a no-op. Gradients are summed here and not by
`DistributedDataParallel`, which fixes what trains when it wraps the model:
gradual unfreezing changes that, and the loss is a sum over one global count.
Those of sharded weights (`models/sharding.py`) are summed where they arise.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_PATIENCE = timedelta(hours=3)
"""How long a process waits for the others: one of them may be scoring a large split."""


def processes() -> int:
    """The world size: how many processes train together, as the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The rank of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if processes() > 1 else 0


def is_main() -> bool:
    """Whether this process writes files and reports progress."""
    return rank() == 0


def join_process_group(device_type: str) -> None:
    """Join the process group of all processes."""
    import torch
    from torch import distributed

    if processes() == 1 or distributed.is_initialized():
        return
    if device_type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if device_type == "cuda" else "gloo", timeout=_PATIENCE)
    atexit.register(_leave_process_group)  # its threads must not outlive the interpreter


def _leave_process_group() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def from_main(make: Callable[[], T]) -> T:
    """Broadcast: what the main process makes, given to all."""
    from torch import distributed

    if processes() == 1:
        return make()
    box: list[Any] = [make() if is_main() else None]
    distributed.broadcast_object_list(box)
    return box[0]


def gathered(value: T) -> list[T]:
    """All-gather: the value of each process, by rank."""
    from torch import distributed

    if processes() == 1:
        return [value]
    found: list[Any] = [None] * processes()
    distributed.all_gather_object(found, value)
    return found


def totals(*values: float) -> tuple[float, ...]:
    """All-reduce: each value summed over the processes."""
    import torch
    from torch import distributed

    if processes() == 1:
        return values
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(summed)
    return tuple(summed.tolist())


def any_of(flag: bool) -> bool:
    """Whether it is true in any process."""
    return bool(totals(float(flag))[0])


@contextmanager
def in_turn() -> Iterator[None]:
    """Context that the processes of a machine enter one after another; to be entered by all."""
    turns = max(gathered(int(os.environ.get("LOCAL_WORLD_SIZE", str(processes())))))
    before = int(os.environ.get("LOCAL_RANK", "0")) if processes() > 1 else 0
    for _ in range(before):
        any_of(False)
    yield
    for _ in range(turns - before):
        any_of(False)


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """All-reduce the gradients of trainable weights, in one message per precision."""
    import torch
    from torch import distributed

    from welltuned.models.tensor_parts import is_part

    if processes() == 1:
        return
    training = [p for p in parameters if p.requires_grad and not is_part(p)]
    for parameter in training:
        if parameter.grad is None:  # this process had no examples in the step
            parameter.grad = torch.zeros_like(parameter)
    for dtype in {parameter.dtype for parameter in training}:
        gradients = [p.grad for p in training if p.dtype == dtype and p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, part in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
