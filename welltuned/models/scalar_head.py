"""Scalar heads: find the output layer of a one-number head, and fold scale and shift into it.

A head may put out more besides, such as what a window of a text weighs: its first output is the
number, and the others stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import nn


def scalar_layer(model: nn.Module, outputs: int = 1) -> nn.Linear:
    """The last linear layer with so many outputs; of PEFT's two copies of a head the one in use."""
    return _named_scalar_layer(model, outputs)[1]


def _named_scalar_layer(model: nn.Module, outputs: int) -> tuple[str, nn.Linear]:
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and module.out_features == outputs
        and ".original_module" not in name
    ]
    return layers[-1]


@torch.no_grad()
def fold(layer: nn.Linear, scale: float, shift: float) -> None:
    """Rescale the layer's first output: `scale` times it, plus `shift`."""
    layer.weight[:1].mul_(scale)
    layer.bias[:1].mul_(scale).add_(shift)


def unfold_kept(
    model: nn.Module, new: Collection[str], scale: float, shift: float, outputs: int = 1
) -> None:
    """Undo `fold` on a last layer that a checkpoint had: what it says, less `shift`, over `scale`.

    `new` names the weights that no checkpoint had.
    """
    name, layer = _named_scalar_layer(model, outputs)
    if f"{name}.weight" not in new:
        fold(layer, 1 / scale, -shift / scale)


@torch.no_grad()
def start_small(model: nn.Module, new: Collection[str], seed: int, outputs: int = 1) -> None:
    """Initialise the last layer, if it is new, with deviation 1 / sqrt(d + 1), its bias 0.

    So a reward model starts with scores of about unit size (Stiennon et al. 2020,
    arXiv 2009.01325). `new` names the weights that no checkpoint had.
    """
    name, layer = _named_scalar_layer(model, outputs)
    if f"{name}.weight" not in new:
        return
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(layer.weight.shape, generator=generator)
    layer.weight.copy_(noise / math.sqrt(layer.in_features + 1))
    layer.bias.zero_()
