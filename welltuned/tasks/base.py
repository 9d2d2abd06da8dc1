"""What a task is: how an example is encoded, the loss, the predictions and the scores.

A `Task` is config. Bound to data it becomes a `Problem`, which knows the labels
and is all that engines and evaluation see. It knows nothing of strategies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.collect import Collected
from welltuned.data.encoding import Encoded
from welltuned.data.records import Records, Role
from welltuned.errors import Faults
from welltuned.schema import Part

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.loading import Head

    Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Examples:
    """A split ready for a model: encoded inputs, targets (N, …) or None, and the records they came from."""

    encoded: Encoded
    targets: np.ndarray | None
    records: Records

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example (N)."""
        return self.encoded.lengths


class Problem(ABC):
    """A task bound to its labels."""

    peft_task_type: ClassVar[str]
    default_metric: str
    """The validation score that chooses the best checkpoint."""

    @abstractmethod
    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        """Which model class with which config serves this problem."""

    @abstractmethod
    def encode(self, tokenizer: PreTrainedTokenizerBase, records: Records, max_length: int, progress: Callable[[int], None] = ...) -> Examples:
        """Records as a model reads them; targets only where the records have them."""

    @abstractmethod
    def collate(self, examples: Examples, indices: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
        """One padded batch; `labels` only where there are targets."""

    @abstractmethod
    def count(self, batch: Batch) -> float:
        """What the loss of this batch is divided by; known before the model runs."""

    @abstractmethod
    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss summed over the batch. Divided once, by the count of the whole optimizer step."""

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What the model says of a batch (B, K)."""

    @abstractmethod
    def score(self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False) -> dict[str, Any]:
        """Scores of a split; `NAME_ci95` beside NAME where intervals are asked for."""

    @abstractmethod
    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """The scores of ignoring the input: the majority class, or the mean."""

    @abstractmethod
    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        """One row a prediction, for people and files."""

    @abstractmethod
    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """The targets of labelled records (N, …); what is not a known label is recorded as a fault."""

    @abstractmethod
    def target_of(self, target: Any) -> Any:
        """A target in the user's own terms."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What the artifact must remember to predict again."""

    def finish(self, model: nn.Module) -> Problem:
        """After training: fold into the weights what plain libraries would not do. Returns the problem to go on with."""
        return self


class Task(Part):
    """The base of all tasks' configs."""

    shorthand: ClassVar[str | None] = "type"
    roles: ClassVar[tuple[Role, ...]]

    type: str

    @abstractmethod
    def bind(self, data: Collected, label_smoothing: float, faults: Faults) -> Problem | None:
        """Find the labels in the data. None when there were faults; they are recorded."""
