"""LoRA layers that learn with their update folded into the weight.

    PEFT:    y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ       two narrow products more, a scaled copy of y, and a sum
    here:    y = x·(W + s·B·A)ᵀ           B·A costs as much as r tokens

The gradients of A and B need narrow products either way. On a CPU these run several times faster
when the narrow side comes first, (r, M) and not (M, r), so here it does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from welltuned.models.compat.peft_api import LoraLinear


def fold_lora(model: nn.Module) -> None:
    """Let the LoRA layers of a model learn in this way wherever they can.

    How they compute changes; to PEFT, and to all who save, load or merge them, they stay the same.
    """
    for module in model.modules():
        if type(module) is LoraLinear:
            module.__class__ = FoldedLora


class FoldedLora(LoraLinear):
    """A linear layer with LoRA, as PEFT has it, that folds while it learns on a CPU in float32.

    Otherwise it computes as PEFT does, so predictions are those of the plain libraries bit for bit.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args or kwargs or not self._folds(x):
            return super().forward(x, *args, **kwargs)
        (name,) = self.active_adapters
        base: Any = self.get_base_layer()
        weight_OI = base.weight.T if self.fan_in_fan_out else base.weight
        factors = self.lora_A[name].weight, self.lora_B[name].weight
        y_MO = _Folded.apply(x.flatten(0, -2), weight_OI, base.bias, *factors, self.scaling[name])
        return y_MO.view(*x.shape[:-1], -1)

    def _folds(self, x: torch.Tensor) -> bool:
        """Whether the layer is learning, by one plain LoRA, on a CPU in float32."""
        if not torch.is_grad_enabled() or self.disable_adapters or self.merged:
            return False
        if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return False
        names = self.active_adapters
        if len(names) != 1 or names[0] not in self.lora_A or names[0] in self.lora_variant:
            return False
        factors = self.lora_A[names[0]], self.lora_B[names[0]]
        weight: Any = self.get_base_layer().weight
        return (
            isinstance(self.lora_dropout[names[0]], nn.Identity)
            and all(factor.bias is None for factor in factors)
            and all(factor.weight.requires_grad for factor in factors)
            and not weight.requires_grad
            and {x.dtype, weight.dtype, *(f.weight.dtype for f in factors)} == {torch.float32}
        )


class _Folded(torch.autograd.Function):
    """x (M, I), W (O, I), b (O) or None, A (r, I), B (O, r), s -> x·(W + s·B·A)ᵀ + b."""

    @staticmethod
    def forward(
        ctx: Any, x_MI: Any, w_OI: Any, b_O: Any, a_RI: Any, b_OR: Any, scale: float
    ) -> Any:
        ctx.save_for_backward(x_MI, w_OI, a_RI, b_OR)
        ctx.scale = scale
        return functional.linear(x_MI, torch.addmm(w_OI, b_OR, a_RI, alpha=scale), b_O)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g_MO,) = gradients
        x_MI, w_OI, a_RI, b_OR = ctx.saved_tensors
        for_x, _, for_bias, *_ = ctx.needs_input_grad
        return (
            g_MO @ torch.addmm(w_OI, b_OR, a_RI, alpha=ctx.scale) if for_x else None,
            None,
            g_MO.sum(dim=0) if for_bias else None,
            (b_OR.T @ g_MO.T) @ x_MI * ctx.scale,
            ((a_RI @ x_MI.T) @ g_MO).T * ctx.scale,
            None,
        )
