"""bitsandbytes: linear layers whose frozen weight is kept in four or eight bits.

They are bitsandbytes' own to whoever asks, so PEFT puts adapters of every kind beside them. But
they compute in one way, in training and in inference, on every device: the weight is brought back
to the precision of the input, for the forward pass and again for the backward pass, and kept in
neither. Left to themselves, in eval mode alone, bitsandbytes' layers round activations to eight
bits too, or repack their weight and compute in bf16 on processors that have it: what is learned
would not be what answers.
"""

from __future__ import annotations

from typing import Any

import torch
from bitsandbytes import functional
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import nn

_LEVELS = 127
"""How many steps the largest weight of a row has in eight bits."""


class Nf4Linear(Linear4bit):  # type: ignore[misc]
    """x·Wᵀ + b, W (O, I) in blocks of 64 weights.

    Each weight is the nearest of 16 quantiles of a normal distribution, times the largest of its
    block; these are kept in eight bits, in blocks of 256 (QLoRA: Dettmers et al. 2023,
    arXiv 2305.14314). So a weight takes 4.13 bits.
    """

    def __init__(
        self, weight_OI: torch.Tensor, bias: nn.Parameter | None, device: torch.device
    ) -> None:
        features = weight_OI.shape[1], weight_OI.shape[0]
        super().__init__(*features, bias is not None, quant_type="nf4", device="meta")
        packed, state = functional.quantize_4bit(
            weight_OI.detach().to(device), compress_statistics=True, quant_type="nf4"
        )
        self.weight = Params4bit(packed, quant_state=state, quant_type="nf4", bnb_quantized=True)
        self.quant_state = state
        self.register_parameter("bias", bias)

    def restored(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight (O, I) as it is computed with."""
        weight: Any = self.weight
        return functional.dequantize_4bit(weight.data, weight.quant_state).to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _product(x, self)


class Int8Linear(Linear8bitLt):  # type: ignore[misc]
    """x·Wᵀ + b, W (O, I) in rows: each weight a 127th part of the largest of its row, so often.

    (LLM.int8(): Dettmers et al. 2022, arXiv 2208.07339; activations are not rounded here.)
    """

    def __init__(
        self, weight_OI: torch.Tensor, bias: nn.Parameter | None, device: torch.device
    ) -> None:
        features = weight_OI.shape[1], weight_OI.shape[0]
        super().__init__(*features, bias is not None, has_fp16_weights=False, device="meta")
        half_OI = weight_OI.detach().to(device, torch.float16)
        rounded_OI, largest_O, _ = functional.int8_vectorwise_quant(half_OI)
        self.weight = Int8Params(rounded_OI, requires_grad=False, SCB=largest_O)
        self.register_parameter("bias", bias)

    def restored(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight (O, I) as it is computed with."""
        weight: Any = self.weight
        return weight.data.float().mul_((weight.SCB / _LEVELS)[:, None]).to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _product(x, self)


LAYERS: dict[str, type[Nf4Linear] | type[Int8Linear]] = {"nf4": Nf4Linear, "int8": Int8Linear}
"""By what a config calls them."""


def _product(x: torch.Tensor, layer: Nf4Linear | Int8Linear) -> torch.Tensor:
    """In the precision that a linear layer computes in where `x` is."""
    kind = x.device.type
    half = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if half else x.dtype
    bias = None if layer.bias is None else layer.bias.to(dtype)
    product: torch.Tensor = _Restored.apply(x.to(dtype), bias, layer)
    return product


class _Restored(torch.autograd.Function):
    """x (…, I), b (O) or None, a layer with W (O, I) -> x·Wᵀ + b."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bias: torch.Tensor | None, layer: Any) -> torch.Tensor:
        ctx.layer = layer
        return nn.functional.linear(x, layer.restored(x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        for_x, for_bias, _ = ctx.needs_input_grad
        return (
            gradient @ ctx.layer.restored(gradient.dtype) if for_x else None,
            gradient.flatten(0, -2).sum(dim=0) if for_bias else None,
            None,
        )
