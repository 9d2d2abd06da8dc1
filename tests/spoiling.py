"""Losses and gradients that are no numbers, planted where a test wants them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from welltuned.tasks import Examples
from welltuned.tasks.classification.single_label import CrossEntropy


def spoil(
    patch: pytest.MonkeyPatch, what: str, where: Callable[[dict[str, torch.Tensor]], bool]
) -> None:
    """From now on losses, or gradients alone, of such micro-batches are no numbers."""
    honest = CrossEntropy.loss

    def loss(self: Any, model: Any, batch: Any) -> torch.Tensor:
        found = honest(self, model, batch)
        if not where(batch):
            return found
        if what == "loss":
            return found * math.nan
        if found.requires_grad:
            found.register_hook(lambda gradient: gradient * math.inf)
        return found

    patch.setattr(CrossEntropy, "loss", loss)


def reads(examples: Examples, index: int) -> Callable[[dict[str, torch.Tensor]], bool]:
    """Whether a batch holds an example."""
    wanted = examples.encoded[index].tolist()

    def holds(batch: dict[str, torch.Tensor]) -> bool:
        rows = zip(batch["input_ids"], batch["attention_mask"].bool(), strict=True)
        return any(row[real].tolist() == wanted for row, real in rows)

    return holds


def starve(patch: pytest.MonkeyPatch, size: int, after: int = 0) -> list[int]:
    """From now on memory runs out in micro-batches of more examples, but for so many of the first.

    Returns the sizes of all that are tried, as they come.
    """
    honest, tried = CrossEntropy.loss, list[int]()

    def loss(self: Any, model: Any, batch: Any) -> torch.Tensor:
        tried.append(len(batch["input_ids"]))
        if tried[-1] > size and len(tried) > after:
            model(input_ids=batch["input_ids"])  # dropout draws its numbers before memory ends
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return honest(self, model, batch)

    patch.setattr(CrossEntropy, "loss", loss)
    return tried
