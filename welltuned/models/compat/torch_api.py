"""torch: hooks below its operations, the names of its fused attention, and its counters."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch._ops import OpOverload, OpOverloadPacket
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import (
    FlopCounterMode,
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

__all__ = [
    "FUSED",
    "FUSED_BACKWARD",
    "READ_VALUE",
    "FlopCounterMode",
    "TorchDispatchMode",
    "flop_registry",
    "operation_of",
    "safe_softmax",
    "sdpa_backward_flop_count",
    "sdpa_flop_count",
    "softmax_backward",
    "storage_id",
    "tree_leaves",
    "tree_map",
    "uncounted",
    "version_of",
]

FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention that keeps no T x T matrix."""
FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
READ_VALUE = torch.ops.aten._local_scalar_dense.default
"""What `bool(tensor)`, `int(tensor)` and `tensor.item()` call."""


def version_of(tensor: torch.Tensor) -> int:
    """How many times it was changed in place."""
    return tensor._version


def uncounted() -> AbstractContextManager[object]:
    """Context whose operations no counter around it sees."""
    return _disable_current_modes()


def operation_of(overload: OpOverload) -> OpOverloadPacket:
    """The operation (`aten.add`) that an overload (`aten.add.Tensor`) belongs to."""
    return overload._overloadpacket


def storage_id(storage: torch.UntypedStorage) -> int:
    """The same for all tensors that share memory, also on `meta`, where there are no addresses."""
    return storage._cdata


def safe_softmax(rows: torch.Tensor) -> torch.Tensor:
    """Softmax of rows that may be masked out whole."""
    return torch.ops.aten._safe_softmax(rows, -1)


def softmax_backward(gradient: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    """The gradient of a softmax over the last dimension."""
    return torch.ops.aten._softmax_backward_data(gradient, output, -1, output.dtype)
