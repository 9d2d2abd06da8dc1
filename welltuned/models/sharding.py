"""Sharded weights: of each, every process holds a part (torch's `fully_shard`, FSDP2).

    shard(model, anatomy, device)   each block becomes a unit, and all that is in none is one more
    through(model, compute)         `compute`, while the weights outside blocks are whole
    copy_whole(model, target)       all weights, into a model that is whole

A unit's weights are gathered for its forward pass, let go, and gathered once more for its backward
pass, after which the gradients of all processes are summed and each keeps its part of the sum. So
a process holds a share of weights, gradients and moments, and the whole of one or two blocks
(Zhao et al. 2023, arXiv 2304.11277; the idea is ZeRO's: Rajbhandari et al. 2020, arXiv 1910.02054).

Whatever gathers is to be called by all processes alike.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import torch
from torch import distributed, nn

from welltuned.errors import Fault, RunFailed
from welltuned.models.anatomy import Anatomy, unwrapped
from welltuned.models.language_head import uncached
from welltuned.models.tensor_parts import put_together

T = TypeVar("T")

_UNIT = "unit_outside_blocks"
"""Where a sharded model keeps that unit: beside its modules, for it holds the model itself."""


class _OutsideBlocks(nn.Module):
    """The unit of all weights that are in no block; its forward pass is whatever needs them.

    Embeddings, final norm and head are called one by one (`language_head.py`), so there is no one
    module whose forward pass could be waited for.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], T]) -> T:
        # Half-precision copies in autocast's cache would outlive the weights that they are of.
        with uncached(next(self.model.parameters()).device.type):
            return compute()


def shard(model: nn.Module, anatomy: Anatomy, device: torch.device) -> None:
    """Keep this process's part of every weight, on a device; the rest is let go.

    Parameters become others (`DTensor`), under the same names. Raises `RunFailed` for a weight of
    no dimension, which has no parts.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    _prepare(model)
    options: dict[str, Any] = {
        "mesh": init_device_mesh(device.type, (distributed.get_world_size(),)),
        # Between passes all parameters are parts, those outside blocks as well: optimizer,
        # checkpoints and hashes meet nothing else.
        "reshard_after_forward": True,
    }
    inner = unwrapped(model)
    units = [inner.get_submodule(block.name) for block in anatomy.blocks]
    units.append(_OutsideBlocks(model))
    for unit in units:
        sharded: Any = fully_shard(unit, **options)
        # Losses are divided by the count of the whole step, so their gradients add up.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    vars(model)[_UNIT] = units[-1]


def _prepare(model: nn.Module) -> None:
    for name, weight in model.named_parameters():
        if not weight.ndim:
            raise RunFailed(
                Fault(
                    "sharding.scalar_weight",
                    "the weight '{name}' is a single number, which cannot be shared among "
                    "processes",
                    None,
                    "remove training.sharding, or train with another strategy",
                    name=name,
                )
            )
        weight.data = weight.data.contiguous()


def is_sharded(model: nn.Module) -> bool:
    """Whether a process holds only a part of its weights."""
    return _UNIT in vars(model)


def through(model: nn.Module, compute: Callable[[], T]) -> T:
    """What `compute` gives, which may call the model or any module of it."""
    unit = vars(model).get(_UNIT)
    return compute() if unit is None else cast(T, unit(compute))


def reading(model: nn.Module) -> AbstractContextManager[object]:
    """Context of passes from which nothing is learned.

    What is gathered in inference mode could not be used for learning afterwards.
    """
    return torch.no_grad() if is_sharded(model) else torch.inference_mode()


def copy_whole(model: nn.Module, target: nn.Module | None) -> None:
    """Gather all weights of a sharded model into one like it that is whole; None: help others to.

    One weight is gathered at a time. What trains there trains here.
    """
    weights = dict(target.named_parameters()) if target is not None else {}
    for name, weight in model.named_parameters():
        gathered = put_together(weight)
        if target is not None:
            weights[name].data.copy_(gathered)
            weights[name].requires_grad_(weight.requires_grad)
