"""Optimizers that train other weights than those they are for.

A schedule-free optimizer (Defazio et al. 2024, arXiv 2405.15682) takes its gradients at one point
and has its result at another, the average of all points so far. Its `eval()` moves the weights to
the average and its `train()` back, by arithmetic that rounding does not undo. So what trains is
kept meanwhile, and put back bit for bit: to look at the average changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class AveragedWeights:
    """The weights to validate, keep and save. For most optimizers they are those that train."""

    def __init__(self, optimizer: torch.optim.Optimizer, weights: Iterable[nn.Parameter]) -> None:
        self._optimizer: Any = optimizer
        switches = (getattr(optimizer, name, None) for name in ("train", "eval"))
        self._weights = [*weights] if all(map(callable, switches)) else []
        self._trained: list[torch.Tensor] = []

    def show(self) -> None:
        """Put the average into the model."""
        if self._weights and not self._trained:
            self._trained = [weight.detach().clone() for weight in self._weights]
            self._optimizer.eval()

    def hide(self) -> None:
        """Go back to the weights that train, bit for bit."""
        if not self._trained:
            return
        self._optimizer.train()
        with torch.no_grad():
            for weight, trained in zip(self._weights, self._trained, strict=True):
                weight.copy_(trained)
        self._trained = []

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Context in which the model has the average."""
        self.show()
        try:
            yield
        finally:
            self.hide()
