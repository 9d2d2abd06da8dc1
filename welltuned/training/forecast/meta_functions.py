"""torch functions on the `meta` device, with the shapes a real device would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from welltuned.models.compat.torch_api import FUSED, tree_map

_IN_HALF = frozenset(
    {
        functional.linear, functional.conv1d, functional.scaled_dot_product_attention, torch.einsum,
        torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.Tensor.mm,
        torch.bmm, torch.Tensor.bmm, torch.addmm, torch.Tensor.addmm, torch.baddbmm,
    }
)  # fmt: skip
_IN_FULL = {
    "cpu": frozenset({functional.cross_entropy, functional.nll_loss, functional.mse_loss}),
    "cuda": frozenset(
        {
            functional.cross_entropy, functional.nll_loss, functional.mse_loss, torch.softmax,
            torch.Tensor.softmax, functional.softmax, functional.log_softmax, torch.log_softmax,
            functional.layer_norm, torch.exp, torch.log, torch.pow, torch.Tensor.pow, torch.rsqrt,
            torch.sum, torch.Tensor.sum,
        }
    ),
}  # fmt: skip
"""What autocast computes in two bytes a number, and on which device what in four, of what models
use (https://docs.pytorch.org/docs/stable/amp.html)."""


class AsOnDevice(TorchFunctionMode):
    """While active, functions of tensors on `meta` are served as a device would.

    Attention by the kernel that keeps no T x T matrix: `meta` would always fall back on plain
    products, as devices really do where attention has dropout. And where autocast is on, numbers
    of two bytes: it does not know `meta`.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.is_autocast_enabled(self._device):
            if func in _IN_HALF:
                args, kwargs = tree_map(_to(torch.bfloat16), (args, kwargs))
            elif func in _IN_FULL.get(self._device, ()):
                args, kwargs = tree_map(_to(torch.float32), (args, kwargs))
        if func is functional.scaled_dot_product_attention:
            return _attend(func, *args, **kwargs)
        return func(*args, **kwargs)


def _to(dtype: torch.dtype) -> Callable[[Any], Any]:
    """Passes real tensors and flags through, and casts all others to `dtype`."""

    def bring(leaf: Any) -> Any:
        imagined = isinstance(leaf, torch.Tensor) and leaf.is_meta
        return leaf.to(dtype) if imagined and leaf.is_floating_point() else leaf

    return bring


def _attend(
    func: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    if dropout_p or not query.is_meta:
        return func(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
    return FUSED(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]
