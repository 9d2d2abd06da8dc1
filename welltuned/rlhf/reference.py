"""Reference policy for the KL penalty, on the same backbone as the policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn


class ReferencePolicy(ABC):
    """The policy that the other one shall not run away from."""

    @abstractmethod
    def acting(self) -> AbstractContextManager[object]:
        """Within this context the model computes what the reference computes."""

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Memory it takes beside the policy."""


class AdapterOff(ReferencePolicy):
    """The model without its adapter: right where the adapter began as no change at all."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @contextmanager
    def acting(self) -> Iterator[None]:
        with self._model.disable_adapter():
            yield

    @property
    def bytes(self) -> int:
        return 0


class InitialWeights(ReferencePolicy):
    """A copy of what trains, as it was; the frozen rest is shared.

    With a whole model it is a real second copy, with an adapter a small one.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._first = [parameter.detach().clone() for parameter in self._parameters]

    @contextmanager
    def acting(self) -> Iterator[None]:
        now = [parameter.data for parameter in self._parameters]
        self._put(self._first)
        try:
            yield
        finally:
            self._put(now)

    def _put(self, tensors: list[torch.Tensor]) -> None:
        """Let the parameters point to other memory; nothing is copied."""
        for parameter, tensor in zip(self._parameters, tensors, strict=True):
            parameter.data = tensor

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self._first)
