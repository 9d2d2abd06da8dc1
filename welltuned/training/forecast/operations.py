"""Operation: what the cost of a torch call depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from welltuned.models.compat.torch_api import (
    FUSED,
    FUSED_BACKWARD,
    flop_registry,
    operation_of,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

_ATTENTIONS = {FUSED: 0, FUSED_BACKWARD: 1}
"""Attention without a T x T matrix, and at which place of its arguments the query stands."""
_KEPT = 32 * 2**20
"""Bytes of the largest tensor whose memory a process keeps for the next one (glibc)."""
ATTENTION, ATTENTION_BACKWARD = (packet.__name__ for packet in _ATTENTIONS)


@dataclass(frozen=True)
class Operation:
    """One call of an operation, as far as its price depends on it."""

    name: str
    """As `torch.ops.aten` names it; `view` where no data is touched."""
    elements: int = 0
    """Of the largest result; of attention, its scores (every query with every key)."""
    bytes: int = 0
    """Read and written..."""
    fresh: int = 0
    """... of which so many in tensors so large that the system gives their memory anew each
    time."""
    flops: float = 0.0
    """Of matrix products."""
    parts: int = 1
    """How many matrix products of equal size it consists of."""
    half: bool = False
    """Whether those are of numbers of two bytes."""

    @classmethod
    def of(
        cls,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        given: list[torch.Tensor],
        outputs: list[torch.Tensor],
    ) -> Operation:
        """A call as `__torch_dispatch__` sees it, what came out, and the tensors of both."""
        packet = operation_of(func)
        name = packet.__name__
        if func.is_view or name in ("detach", "_unsafe_view"):
            return cls("view")
        made = [tensor for tensor in outputs if not any(tensor is other for other in given)]
        flops = _flops(packet, args, kwargs, result)
        return cls(
            name,
            elements=_elements(packet, args, outputs),
            bytes=sum(map(_bytes, outputs)) + sum(map(_bytes, given)),
            fresh=sum(size for tensor in made if (size := _bytes(tensor)) > _KEPT),
            flops=flops,
            parts=_parts(packet, outputs[0]) if flops else 1,
            half=bool(flops) and outputs[0].element_size() == 2,
        )


def _flops(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> float:
    """Floating-point operations of matrix products; 0 of anything else."""
    if packet is FUSED:
        query, key, value = (tensor.shape for tensor in args[:3])
        return float(sdpa_flop_count(query, key, value))
    if packet is FUSED_BACKWARD:
        gradient, query, key, value = (tensor.shape for tensor in args[:4])
        return float(sdpa_backward_flop_count(gradient, query, key, value))
    if packet in flop_registry:
        return float(flop_registry[packet](*args, **kwargs, out_val=result))
    return 0.0


def _elements(packet: Any, args: tuple[Any, ...], outputs: list[torch.Tensor]) -> int:
    if packet in _ATTENTIONS:
        query, key = args[_ATTENTIONS[packet] :][:2]
        return query.shape[:-1].numel() * key.shape[-2]
    return max((tensor.numel() for tensor in outputs), default=0)


def _parts(packet: Any, result: torch.Tensor) -> int:
    """Of how many products a batch of them or an attention consists."""
    if packet in _ATTENTIONS:
        return result.shape[:2].numel()
    return result.shape[0] if packet in (torch.ops.aten.bmm, torch.ops.aten.baddbmm) else 1


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
