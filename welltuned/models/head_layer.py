"""The one linear layer that is a model's head, as it stands in the model or in PEFT's wrapper."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from welltuned.models.anatomy import undecorated


def head_layer(model: nn.Module, name: str) -> nn.Linear:
    """The head of that name (`anatomy.head`) which answers; PEFT keeps a spare copy of it.

    Raises `ValueError` where it is no linear layer.
    """
    for found, module in model.named_modules():
        plain = undecorated(f"{found}.weight").removesuffix(".weight")
        if plain == name and isinstance(module, nn.Linear) and ".original_module" not in found:
            return module
    raise ValueError(f"the head {name} is no linear layer")


@contextmanager
def readings_of(layer: nn.Module, detached: bool = False) -> Iterator[list[torch.Tensor]]:
    """What a layer reads within this context, call by call; gradients flow unless `detached`."""
    found: list[torch.Tensor] = []

    def note(_: nn.Module, read: tuple[torch.Tensor, ...]) -> None:
        found.append(read[0].detach() if detached else read[0])

    hook = layer.register_forward_pre_hook(note)
    try:
        yield found
    finally:
        hook.remove()
