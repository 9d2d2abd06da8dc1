"""Replicas of a model for threads of their own: modules apart, weights in common.

A forward pass may leave things in its modules (the prefix that attention looks for, hooks), so two
threads share none. Weights are only read, and are the same tensors in all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from welltuned.artifact.save_load import Artifact
from welltuned.errors import WelltunedError

_MOST = 4
"""Replicas at most: beyond a few, Python itself, which runs one thread at a time, is what they
wait for."""
_MOST_BYTES = 1 << 29
"""Of weights. The products of larger models keep all cores busy, and reading them once more takes
long."""


def replicas_of(artifact: Artifact, again: Callable[[], Artifact] | None) -> list[Artifact]:
    """As many of what `again` loads as help on this machine, with the weights of `artifact`.

    None where the files that it was loaded from are gone or are those of another model, or where
    there is no memory to read them again.
    """
    if again is None:
        return []
    try:
        replicas = [again() for _ in range(_number_that_helps(artifact) - 1)]
        for one in replicas:
            _share(artifact.model, one.model)
    except (WelltunedError, OSError, AttributeError, MemoryError, RuntimeError):
        return []
    return replicas


def _number_that_helps(artifact: Artifact) -> int:
    """How many models answer faster than one, itself included.

    On a GPU one does: it does one thing at a time. So it is with text, for answers differ in
    length.
    """
    weights = list(artifact.model.parameters())
    if not weights or any(weight.device.type != "cpu" for weight in weights):
        return 1  # without weights it is another runtime's
    if artifact.problem.responder is not None or artifact.manifest.base.quantization is not None:
        return 1
    if sum(weight.nbytes for weight in weights) > _MOST_BYTES:
        return 1
    return min(_MOST, torch.get_num_threads())


def shares_weights(model: nn.Module, replica: nn.Module) -> bool:
    """Whether it still answers alike: not where somebody has put other weights into one of them."""
    of_one, of_other = model.parameters(), replica.parameters()
    return [weight.data_ptr() for weight in of_one] == [weight.data_ptr() for weight in of_other]


def _share(model: nn.Module, other: nn.Module) -> None:
    """Put the tensors of one model into another of the same modules."""
    for name, weight in other.named_parameters(remove_duplicate=False):
        weight.data = model.get_parameter(name).data
    for name, buffer in other.named_buffers(remove_duplicate=False):
        buffer.data = model.get_buffer(name).data
