"""L2-SP: L2 penalty towards the starting weights (Li, Grandvalet & Davoine 2018, arXiv 1802.01483).

    alpha / 2 · |w - w0|²      its gradient: alpha · (w - w0)

over all weights that were there before; a new head has no start and is left alone. For
LoRA, w - w0 is the product s·B·A, whose norm comes from two small Gram matrices:
|B·A|² = sum of (BᵀB) ∘ (AAᵀ).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from welltuned.errors import Fault
from welltuned.protection.base import CheckContext, Guard, GuardContext, Protection

if TYPE_CHECKING:
    import torch
    from torch import nn


class L2SP(Protection):
    """L2-SP: an L2 penalty towards the starting weights."""

    type: Literal["l2sp"] = "l2sp"
    alpha: float = Field(default=0.1, gt=0)
    """The strength of the penalty. `training.weight_decay` still pulls towards zero; it may be
    set to 0."""

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        yield from self.needs_change(setting, "weights", "product")

    def guard(self, scene: GuardContext) -> Guard:
        if scene.strategy.update_kind == "product":
            return ProductPull(self.alpha, products(scene.model))
        return Pull(scene.pretrained().values(), self.alpha)


class Pull(Guard):
    """The penalty on whole weights; importances, where given, are tensors of their shapes."""

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        strength: float,
        importance: list[torch.Tensor] | None = None,
    ) -> None:
        self._weights = list(weights)
        self._start = [weight.detach().clone() for weight in self._weights]
        self._strength = strength
        self._importance = importance

    def penalise(self, step: int) -> float:
        value = 0.0
        for i, weight in enumerate(self._weights):
            if weight.grad is None:
                continue  # frozen as yet; it has not moved either
            away = weight.detach() - self._start[i]
            pull = away if self._importance is None else away * self._importance[i]
            weight.grad.add_(pull, alpha=self._strength)
            value += float((pull * away).sum())
        return self._strength / 2 * value


class ProductPull(Guard):
    """The penalty on the updates s·B·A of frozen weights."""

    def __init__(self, strength: float, found: list[Product]) -> None:
        self._strength = strength
        self._products = found

    def penalise(self, step: int) -> float:
        import torch

        value = 0.0
        for one in self._products:
            with torch.enable_grad():
                gram_RR = (one.b_OR.T @ one.b_OR) * (one.a_RI @ one.a_RI.T)
                part = self._strength / 2 * one.scale**2 * gram_RR.sum()
            if part.requires_grad:
                part.backward()
            value += float(part.detach())
        return value


class Product(NamedTuple):
    """LoRA's update of a layer: s·B·A."""

    a_RI: torch.Tensor
    b_OR: torch.Tensor
    scale: float


def products(model: nn.Module) -> list[Product]:
    """The product of every layer that LoRA has changed."""
    from welltuned.models.compat.peft_api import LoraLayer

    found: list[Product] = []
    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        for name in layer.active_adapters:
            if name in layer.lora_A:
                pair = layer.lora_A[name].weight, layer.lora_B[name].weight
            else:  # an embedding
                pair = layer.lora_embedding_A[name], layer.lora_embedding_B[name]
            found.append(Product(*pair, layer.scaling[name]))
    return found
