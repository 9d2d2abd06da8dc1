"""The lower blocks of a trunk, run alone or stepped over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from welltuned.models.anatomy import Anatomy, unwrapped

_VECTOR = 32
"""Numbers: two of the widest registers."""


class UnfitError(Exception):
    """Hidden states are not all that these blocks hand on."""


class LowerBlocks:
    """Blocks by their number from the bottom, and what makes embeddings."""

    def __init__(self, blocks: list[nn.Module], embeddings: nn.Module) -> None:
        self._blocks = blocks
        self._embeddings = embeddings
        self.skip_embeddings = True
        """Whether embeddings too are stepped over; a family may need what they hand on."""
        self._rest: tuple[object, ...] | None = None

    @classmethod
    def of(cls, model: object, anatomy: Anatomy) -> LowerBlocks:
        """Those of a model, wrapped by PEFT or not."""
        inner = unwrapped(model)
        child = anatomy.word_embeddings.removeprefix(f"{anatomy.trunk}.").partition(".")[0]
        return cls(
            [inner.get_submodule(block.name) for block in anatomy.blocks],
            inner.get_submodule(anatomy.trunk).get_submodule(child),
        )

    def run(self, call: Callable[[], object], depths: Collection[int]) -> dict[int, torch.Tensor]:
        """The states (B, T, H) above so many blocks each, of a pass that ends at the highest.

        Raises `UnfitError` when blocks hand on anything else.
        """
        top = max(depths)
        with ExitStack() as stack:
            found = {depth: stack.enter_context(self.noted(depth)) for depth in depths}

            def handed_on() -> Any:
                if not found[top]:
                    raise UnfitError
                return self._wrap(found[top][0])

            stack.enter_context(replaced(self._blocks[top:], handed_on))
            call()
            handed_on()
        return {depth: states[0] for depth, states in found.items()}

    @contextmanager
    def noted(self, depth: int) -> Iterator[list[torch.Tensor]]:
        """Each pass within this context adds its states (B, T, H) above so many blocks to the list.

        It adds none where there are no such blocks, or where they hand on anything else.
        """
        found: list[torch.Tensor] = []

        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            first, *rest = output if isinstance(output, tuple) else (output,)
            if all(part is None for part in rest):
                found.append(first)
                self._rest = tuple(rest) if isinstance(output, tuple) else None

        with ExitStack() as stack:
            if depth:
                stack.callback(self._blocks[depth - 1].register_forward_hook(note).remove)
            yield found

    @contextmanager
    def skipped(self, depth: int, states_BTH: torch.Tensor) -> Iterator[None]:
        """A pass within this context begins with these states, above so many blocks.

        Blocks stay in their list, since families look up masks by a block's number.
        """
        embeddings = [self._embeddings] if self.skip_embeddings else []
        with (
            replaced(embeddings, lambda: states_BTH),
            replaced(self._blocks[:depth], lambda: self._wrap(states_BTH)),
        ):
            yield

    @property
    def fill_vectors(self) -> bool:
        """Whether no width leaves numbers over when a processor takes them by `_VECTOR`.

        Those left over at the end of a batch are computed one by one, and may differ by a bit.
        """
        weights = (weight for block in self._blocks for weight in block.parameters())
        return all(size % _VECTOR == 0 for weight in weights for size in weight.shape)

    def train(self, depth: int) -> bool:
        """Whether any of the lowest blocks is in train mode, where dropout would be drawn anew.

        A block that is recomputed in the backward pass says so of itself alone.
        """
        return any(
            block.training and not getattr(block, "gradient_checkpointing", False)
            for block in self._blocks[:depth]
        )

    def _wrap(self, states_BTH: torch.Tensor) -> Any:
        return states_BTH if self._rest is None else (states_BTH, *self._rest)


@contextmanager
def replaced(modules: list[nn.Module], output: Callable[[], object]) -> Iterator[None]:
    """Modules that compute nothing and give this."""
    for module in modules:
        module.forward = lambda *args, **kwargs: output()
    try:
        yield
    finally:
        for module in modules:
            del module.forward  # the class's own comes back
