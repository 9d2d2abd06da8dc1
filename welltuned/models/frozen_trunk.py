"""Frozen-trunk cache: hidden states below the lowest trainable block, computed once and reused.

In reinforcement learning each batch takes several forward passes. Blocks that neither train nor
have dropout (all of the model is in eval mode) give the same states each time, for the policy and
for its reference alike. So they run once, and every later pass begins above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from welltuned.models.anatomy import Anatomy, unwrapped
from welltuned.models.frozen_cache.lower_blocks import replaced


def frozen_blocks(model: Any, anatomy: Anatomy) -> list[nn.Module]:
    """The blocks, from the bottom, below everything that trains; none when embeddings train."""
    depths = [
        anatomy.depth(name) for name, weight in model.named_parameters() if weight.requires_grad
    ]
    count = anatomy.num_blocks - max(depths, default=0)
    if count <= 0:
        return []
    inner = unwrapped(model)
    return [inner.get_submodule(block.name) for block in anatomy.blocks[:count]]


class Boundary:
    """The top of some frozen blocks."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        self._blocks = blocks
        self._wrap: Callable[[torch.Tensor], Any] = lambda states: states

    @classmethod
    def of(cls, model: object, anatomy: Anatomy) -> Boundary | None:
        """None where no block is frozen."""
        blocks = frozen_blocks(model, anatomy)
        return cls(blocks) if blocks else None

    @property
    def blocks(self) -> int:
        """How many blocks lie below."""
        return len(self._blocks)

    @contextmanager
    def noted(self) -> Iterator[list[torch.Tensor]]:
        """A pass within this context leaves its states (B, T, H) in the list."""
        found: list[torch.Tensor] = []

        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            rest = output[1:] if isinstance(output, tuple) else None
            self._wrap = (lambda states: states) if rest is None else (lambda s: (s, *rest))
            found.append(first.detach())

        hook = self._blocks[-1].register_forward_hook(note)
        try:
            yield found
        finally:
            hook.remove()

    @contextmanager
    def resumed(self, states_BTH: torch.Tensor) -> Iterator[None]:
        """A pass within this context begins with these states; the blocks do nothing.

        They stay in their list, since families look up masks by a block's number.
        """
        with replaced(self._blocks, lambda: self._wrap(states_BTH)):
            yield
