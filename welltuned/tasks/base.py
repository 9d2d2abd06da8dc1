"""What a task is: how an example is encoded, the loss, the predictions and the scores.

A `Task` is config. Bound to data it becomes a `Problem`, which knows the labels
and is all that engines and evaluation see. It knows nothing of strategies.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from welltuned.data.encoding import Encoded
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.document import Part

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Kind
    from welltuned.models.loading import Head, Pooling

    Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Examples:
    """A split ready for a model.

    Encoded inputs, targets (N, …) or None, and the records they came from.
    """

    encoded: Encoded
    targets: np.ndarray | None
    records: Records

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example (N)."""
        return self.encoded.lengths

    @property
    def sizes(self) -> np.ndarray | None:
        """The encoded rows per example (N); None where each is one."""
        return None

    def rows_of(self, indices: Sequence[int]) -> Sequence[int]:
        """The encoded rows of some examples, where an example is not just one."""
        return indices

    def take(self, indices: Sequence[int]) -> Examples:
        """The examples at `indices`, in that order."""
        return Examples(
            self.encoded.take(indices),
            None if self.targets is None else self.targets[list(indices)],
            self.records.take(indices),
        )

    def join(self, other: Examples) -> Examples:
        """These examples and then those, of the same problem."""
        return Examples(
            self.encoded.join(other.encoded),
            None
            if self.targets is None or other.targets is None
            else np.concatenate([self.targets, other.targets]),
            self.records.join(other.records),
        )


class Task(Part):
    """The base of all tasks' configs."""

    shorthand: ClassVar[str | None] = "type"
    roles: ClassVar[tuple[Role, ...]]
    pooling: str = "model"
    """What the head reads; only tasks with a new head over pooled states have a choice."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens per example, special tokens included. auto: what the model takes, at most 512."""

    type: str

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """The user's columns as the roles expect them, where a file's format is more than columns.

        `columns` is the user's mapping from role to column.
        """
        return table

    @abstractmethod
    def bind(self, data: DataSplits, label_smoothing: float, faults: Faults) -> Problem | None:
        """Find the labels in the data. None when there were faults; they are recorded."""


Trained = tuple[np.ndarray, np.ndarray]
"""(outputs, targets) of the training split."""


class Problem(ABC):
    """A task bound to its labels."""

    type: ClassVar[str]
    """The task's name in configs."""
    task: ClassVar[builtins.type[Task]]
    """The config it was bound from; its roles say how files are read."""
    peft_task_type: ClassVar[str]
    """What PEFT calls it."""
    auto_class: ClassVar[str]
    """The auto class of transformers that loads its models."""
    default_metric: str
    """The validation score that chooses the best checkpoint."""
    metrics: tuple[str, ...]
    """All validation scores that may choose it."""

    answered: int = 0
    """How many test examples are answered in free text."""
    asked: ClassVar[str] = 'predict(["some text"])'
    """How a tuned model is asked in Python, for people."""
    needs_reference: ClassVar[bool] = False
    """Whether the loss compares with the model as it was before it was tuned."""
    supports_replay: ClassVar[bool] = True
    """Whether examples of before can be mixed into what is learned."""
    max_new_tokens: int = 0
    """How many tokens such an answer has at most."""

    @abstractmethod
    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        """Which model class with which config serves this problem."""

    def usual_pooling(self, kind: Kind) -> Pooling | None:
        """What a new head reads in models of a kind; None where a probe on the targets decides."""
        return None

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        """Give weights that are `new` their first values, where those of their family will not do.

        Asked before the strategy prepares the model.
        """
        return None

    def with_reference(self, examples: Examples, outputs_NK: np.ndarray) -> Examples:
        """The examples with what the untuned model makes of them, for problems that need it."""
        return examples

    @abstractmethod
    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = ...,
    ) -> Examples:
        """Records as a model reads them; targets only where the records have them."""

    def pack(self, examples: Examples, max_length: int) -> Examples:
        """Training examples in fewer rows, where the task can."""
        return examples

    @abstractmethod
    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """One padded batch; `labels` only where there are targets."""

    @abstractmethod
    def count(self, batch: Batch) -> float:
        """What the loss of this batch is divided by; known before the model runs."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss summed over the batch.

        Divided once, by the count of the whole optimizer step.
        """

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What evaluation needs to know of a batch (B, …), as small as it can be."""

    @abstractmethod
    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        """Scores of a split; `NAME_ci95` beside NAME where intervals are asked for."""

    @abstractmethod
    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """The scores of ignoring the input: the majority class, or the mean."""

    def baselines(
        self, train_targets: np.ndarray, targets: np.ndarray
    ) -> dict[str, dict[str, Any]]:
        """The scores of rules that need no model, by name."""
        majority = self.baseline(train_targets, targets)
        return {"majority": majority} if majority else {}

    @abstractmethod
    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        """One row a prediction, for people and files."""

    def answers(self, outputs_NK: np.ndarray, records: Records) -> list[dict[str, Any]]:
        """As `describe`, where the records that were asked are at hand."""
        return self.describe(outputs_NK)

    @abstractmethod
    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """The targets of labelled records (N, …).

        What is not a known label is recorded as a fault.
        """

    @abstractmethod
    def target_of(self, target: Any) -> Any:
        """A target in the user's own terms."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """What the artifact must remember to predict again."""

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """As the task's: the user's columns as the roles expect them."""
        return table

    @abstractmethod
    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Inputs given one by one, such as texts, as records without answers."""

    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
    ) -> list[str] | None:
        """Free text in answer to each record; None where the outputs say everything."""
        return None

    def score_responses(
        self, responses: Sequence[str], records: Records, intervals: bool = False
    ) -> dict[str, Any]:
        """Scores of free text against the records' own answers."""
        return {}

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: dict[str, Sequence[str]]
    ) -> Iterator[dict[str, Any]]:
        """One row an example for `predictions.jsonl`.

        `texts` holds free text for the first examples: `response`, and `before` it was tuned.
        """
        records, targets = examples.records, examples.targets
        assert targets is not None
        for i, row in enumerate(self.answers(outputs_NK, records)):
            label = self.target_of(targets[i])
            yield {"id": records.id(i), "label": label, **row, **self.shown(records, i)}

    def shown(self, records: Records, index: int) -> dict[str, Any]:
        """What a record asked, for people and files."""
        return {role: records[role][index] for role in records.input_roles}

    def lines(self, records: Records, index: int) -> list[str]:
        """A record as lines of text, its answer included where that belongs into the text."""
        return [str(records[role][index]) for role in records.input_roles]

    def notes(self, examples: Examples) -> list[str]:
        """What a person should know of encoded examples, besides texts that were cut."""
        return []

    def measured(self, trained: Callable[[], Trained]) -> Problem:
        """After training, before `finish`: note what the tuned model makes of its own data.

        `trained` gives the outputs and targets of the training split. Returns the
        problem to go on with.
        """
        return self

    def finish(self, model: nn.Module) -> Problem:
        """After training: fold into the weights what plain libraries would not do.

        Returns the problem to go on with.
        """
        return self

    def saved_as(
        self, tokenizer: PreTrainedTokenizerBase, records: Records
    ) -> tuple[Problem, Records]:
        """The problem that the artifact is for, and records as that one reads them."""
        return self, records
