"""Attention on a CPU in float32, also where all else is bf16.

For short texts torch's fused attention for CPUs takes longer in bf16 than in float32, its
backward pass most of all (`benchmarks/cpu_attention.py`). Float32 is the more exact as well, so
nothing is traded for it. It is an attention with a name of its own, which only models that are
loaded here are set to: transformers' own `sdpa` stays what it is for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from welltuned.models.compat.transformers_api import (
    attends_by_sdpa,
    register_attention,
    sdpa_attention_forward,
    sdpa_mask,
)

NAME = "welltuned_sdpa"
"""What `set_attn_implementation` knows it by; no config.json ever says it."""
_LONG = 512
"""From so many tokens on bf16 is no slower."""


def use_in(model: PreTrainedModel) -> None:
    """Switch a loaded model from `sdpa` to this attention; any other stays as it is."""
    if attends_by_sdpa(model):
        model.set_attn_implementation(NAME)


def attend_in_float32(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention that transformers calls `sdpa`, with its shapes.

    query (B, heads, Q, D); key, value (B, key heads, K, D) -> (B, Q, heads, D).
    """

    def own(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: torch.Tensor | None
    ) -> torch.Tensor:
        return sdpa_attention_forward(module, q, k, v, attn_mask, **kwargs)[0]

    return _in_full(own, query, key, value, attention_mask), None


register_attention(NAME, attend_in_float32, sdpa_mask)


def scaled_dot_product(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **kwargs: Any,
) -> torch.Tensor:
    """torch's function of that name: query (B, heads, Q, D), the others (B, heads, K, D)."""
    attention = partial(functional.scaled_dot_product_attention, **kwargs)
    return _in_full(attention, query, key, value, mask)


def _in_full(
    attention: Callable[..., torch.Tensor],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """The output of an attention function, computed in float32 where bf16 is slow."""
    if not _is_slow(query):
        return attention(query, key, value, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        states = (query.float(), key.float(), value.float())
        output = attention(*states, attn_mask=_float(mask))
    return output.to(torch.bfloat16)


def _is_slow(query: torch.Tensor) -> bool:
    """Whether bf16, which it would be, is slower than casting back and forth."""
    autocast = torch.is_autocast_enabled("cpu")
    on_cpu = query.device.type == "cpu" or (query.is_meta and autocast)
    half = autocast or query.dtype == torch.bfloat16
    # A single query is a word that is being generated: casting all keys for it would not pay.
    return on_cpu and half and 1 < query.shape[2] < _LONG


def _float(mask: torch.Tensor | None) -> torch.Tensor | None:
    return mask.float() if mask is not None and mask.is_floating_point() else mask
