"""Targets as the labels that each has, where targets are labels: so texts are told to be alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelFlags(ABC):
    """Targets of one kind as flags, and back."""

    number: int
    """How many labels there are (K)."""

    @abstractmethod
    def of(self, targets: np.ndarray) -> np.ndarray:
        """Whether each target has each label (N, K), as bool."""

    @abstractmethod
    def each(self) -> np.ndarray:
        """One target for each label, which has that label alone (K, …)."""


class ClassFlags(LabelFlags):
    """Of class numbers (N)."""

    def of(self, targets: np.ndarray) -> np.ndarray:
        return targets[:, None] == np.arange(self.number)

    def each(self) -> np.ndarray:
        return np.arange(self.number)


class SetFlags(LabelFlags):
    """Of any number of labels each, as 0 and 1 (N, K, float32)."""

    def of(self, targets: np.ndarray) -> np.ndarray:
        return targets > 0.5

    def each(self) -> np.ndarray:
        return np.eye(self.number, dtype=np.float32)
