"""Tensors of which each process holds a part, as those of sharded weights are (torch's `DTensor`).

Whatever gathers is to be called by all processes alike. Of a tensor that is whole each of these
functions gives the tensor itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import distributed


def is_part(tensor: torch.Tensor) -> bool:
    """Whether others hold the rest of it."""
    known = sys.modules.get("torch.distributed.tensor")  # what was never imported has made none
    return known is not None and isinstance(tensor, known.DTensor)


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of it: all, where nobody holds the rest."""
    return cast(Any, tensor.detach()).to_local() if is_part(tensor) else tensor


def put_together(tensor: torch.Tensor) -> torch.Tensor:
    """All of it, on its device; gathers."""
    return cast(Any, tensor.detach()).full_tensor() if is_part(tensor) else tensor


def as_held(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of a whole tensor what belongs beside this part of a weight; itself where that is whole.

    Every process has the whole tensor, so nothing is sent.
    """
    if not is_part(weight) or tensor.shape != weight.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    held = cast(Any, weight)
    whole_one = tensor.to(weight.device)
    return distribute_tensor(whole_one, held.device_mesh, held.placements, src_data_rank=None)


def on_main(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """By name the whole tensors: parts are gathered one after another, and all but the main
    process let them go at once; there they wait in the memory of the host."""
    found = {}
    for name, tensor in tensors.items():
        if not is_part(tensor):
            found[name] = tensor
            continue
        gathered = put_together(tensor)
        if distributed.get_rank() == 0:
            found[name] = gathered.to("cpu")
    return found
