"""Prefix tuning: learned keys and values that every token of a block may attend to.

(Li & Liang 2021, arXiv 2101.00190; for encoders Liu et al. 2022, arXiv 2110.07602.) They enter
inside the attention function, through transformers' own registry: no fake key/value cache is made,
so real tokens keep their positions, the whole input length stays usable, and generation's cache
works as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from welltuned.models.compat.peft_api import MethodTuner
from welltuned.models.compat.transformers_api import explicit_mask, register_attention
from welltuned.models.cpu_attention import scaled_dot_product
from welltuned.strategies.peft_methods.base import InjectedLayer, InjectionConfig

PEFT_TYPE = "WELLTUNED_PREFIX"
PREFIX = "prefix_"
ATTENTION = "welltuned-prefix"


@dataclass
class PrefixConfig(InjectionConfig):
    """`target_modules` are the modules that call the attention registry."""

    num_virtual_tokens: int = field(default=20)
    num_key_heads: int = field(default=0)
    head_size: int = field(default=0)
    dropout: float = field(default=0.0)
    prefix_projection: bool = field(default=False)
    """While training, compute the prefix from P small vectors by a two-layer network."""
    encoder_hidden_size: int = field(default=128)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE


class PrefixParameters(nn.Module):
    """Keys and values (heads, P, head size) of one block."""

    def __init__(self, config: PrefixConfig) -> None:
        super().__init__()
        shape = (config.num_key_heads, config.num_virtual_tokens, config.head_size)
        self.shape = shape
        self.dropout = nn.Dropout(config.dropout)
        self.projection: nn.Sequential | None = None
        if config.prefix_projection:
            size = config.encoder_hidden_size
            self.seeds = nn.Parameter(torch.randn(config.num_virtual_tokens, size))
            self.projection = nn.Sequential(
                nn.Linear(size, size),
                nn.Tanh(),
                nn.Linear(size, 2 * config.num_key_heads * config.head_size),
            )
        else:
            self.keys = nn.Parameter(torch.zeros(shape))
            self.values = nn.Parameter(torch.zeros(shape))

    def states(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values, each (heads, P, head size)."""
        if self.projection is None:
            return self.dropout(self.keys), self.dropout(self.values)
        heads, length, size = self.shape
        both = self.projection(self.seeds).view(length, 2, heads, size).permute(1, 2, 0, 3)
        return self.dropout(both[0]), self.dropout(both[1])

    @torch.no_grad()
    def drop_projection(self) -> None:
        """Keep the projection's output and drop the projection.

        What the model computes does not change.
        """
        if self.projection is None:
            return
        training, _ = self.training, self.dropout.eval()
        keys, values = self.states()
        self.keys, self.values = nn.Parameter(keys.clone()), nn.Parameter(values.clone())
        self.projection = None
        del self.seeds
        self.train(training)

    @torch.no_grad()
    def start_from(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Initialise from the keys and values of real tokens (heads, P, head size)."""
        if self.projection is None:
            self.keys.copy_(keys)
            self.values.copy_(values)
        else:
            # The projection starts at a constant function: the bias of its last layer cannot
            # differ by position, so the mean over tokens is what it can begin from.
            last: Any = self.projection[-1]
            last.weight.mul_(0.1)
            last.bias.copy_(torch.cat([keys.mean(1).reshape(-1), values.mean(1).reshape(-1)]))


class PrefixedAttention(InjectedLayer):
    """An attention module whose attention function finds the prefix of the adapters that are on."""

    adapter_layer_names = ("prefix_parts",)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__(base_layer)
        self.prefix_parts = nn.ModuleDict()

    def forward(self, *args: object, **kwargs: object) -> Any:
        states = [part.states() for part in self.active_parts(self.prefix_parts)]
        joined = (
            tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))
            if states
            else None
        )
        with _offered(self.base_layer, joined):
            return self.base_layer(*args, **kwargs)


class PrefixTuner(MethodTuner[PrefixedAttention, PrefixConfig]):
    prefix = PREFIX
    tuner_layer_cls = PrefixedAttention

    def begin(self, peft_config: PrefixConfig, model: PreTrainedModel) -> None:
        # The mask is a tensor, always: shortcuts do not hold once keys stand in front.
        model.set_attn_implementation(ATTENTION)

    def add(
        self,
        layer: PrefixedAttention,
        adapter_name: str,
        peft_config: PrefixConfig,
        current_key: str,
    ) -> None:
        layer.prefix_parts[adapter_name] = PrefixParameters(peft_config)


@contextmanager
def _offered(attention: nn.Module, states: Any) -> Iterator[None]:
    """Leave the prefix where the attention function, deep inside the module, looks for it."""
    attention.__dict__["welltuned_prefix"] = states
    try:
        yield
    finally:
        del attention.__dict__["welltuned_prefix"]


@contextmanager
def captured(attentions: list[nn.Module]) -> Iterator[dict[int, tuple[torch.Tensor, torch.Tensor]]]:
    """Note, by `id`, the keys and values each attention module computes.

    Each has the shape (B, heads, T, head size).
    """
    seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for attention in attentions:
        attention.__dict__["welltuned_capture"] = seen
    try:
        yield seen
    finally:
        for attention in attentions:
            del attention.__dict__["welltuned_capture"]


def attend_with_prefix(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    position_bias: torch.Tensor | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention over prefix and text.

    query (B, heads, Q, D); key, value (B, key heads, K, D) -> (B, Q, heads, D). `position_bias`
    (1 or B, heads, Q, K) is added to the text's scores; a prefix has no position, and no bias.
    """
    if kwargs.get("s_aux") is not None:
        raise NotImplementedError("attention with s_aux is not supported by prefixes")
    if (capture := module.__dict__.get("welltuned_capture")) is not None:
        capture[id(module)] = (key.detach(), value.detach())
    causal = bool(getattr(module, "is_causal", False) if is_causal is None else is_causal)
    mask = attention_mask
    if mask is None and causal and query.shape[2] > 1:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        mask = mask.tril(key.shape[2] - query.shape[2])[None, None]
    if position_bias is not None:
        mask = _biased(position_bias, mask)
    if (prefix := module.__dict__.get("welltuned_prefix")) is not None:
        keys, values = (
            state.to(key.dtype).unsqueeze(0).expand(key.shape[0], -1, -1, -1) for state in prefix
        )
        key, value = torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2)
        if mask is not None:
            # Every token may attend to the prefix: True in a boolean mask, 0 in an additive one.
            mask = functional.pad(mask, (keys.shape[2], 0), value=mask.dtype == torch.bool)
    groups = int(query.shape[1] // key.shape[1])  # a tensor where the model is being traced
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if softcap is not None:
        output = _softcapped(query, key, value, mask, dropout, scaling, softcap, module.training)
    else:
        output = scaled_dot_product(query, key, value, mask, dropout_p=dropout, scale=scaling)
    return output.transpose(1, 2).contiguous(), None


def _biased(bias: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """A bias of scores, and a mask, as one additive mask."""
    if mask is None:
        return bias
    if mask.dtype == torch.bool:
        return torch.where(mask, bias, torch.finfo(bias.dtype).min)
    return bias + mask


def _softcapped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
    softcap: float,
    training: bool,
) -> torch.Tensor:
    """Gemma 2's attention: scores squeezed through softcap · tanh(scores / softcap)."""
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = (
            scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            if mask.dtype == torch.bool
            else scores + mask
        )
    weights = functional.dropout(scores.float().softmax(-1).to(query.dtype), dropout, training)
    return weights @ value


register_attention(ATTENTION, attend_with_prefix, explicit_mask)
