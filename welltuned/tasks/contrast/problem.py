"""A problem as it is learned by contrast: other batches and another loss, the same answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records, Role
from welltuned.errors import Faults
from welltuned.models.loading import Head
from welltuned.tasks.base import Problem
from welltuned.tasks.contrast.groups import Groups
from welltuned.tasks.contrast.losses import ContrastLoss, likeness
from welltuned.tasks.examples import Examples
from welltuned.tasks.label_flags import LabelFlags
from welltuned.tasks.parts import Codec, Objective, Presenter, Scorer

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.tasks.parts import Batch


@dataclass(frozen=True)
class Contrast(Problem):
    """What trains a model whose head is solved for afterwards; `base` is the problem itself."""

    base: Problem
    flags: LabelFlags
    head: str
    """The name of the head, which reads the features that are compared."""
    size: int
    """Texts of a group."""
    loss: ContrastLoss

    type: ClassVar[str] = "contrast"
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"

    @property
    def codec(self) -> GroupCodec:
        return GroupCodec(self.base.codec, self.flags)

    @property
    def objective(self) -> ContrastObjective:
        return ContrastObjective(self.base.objective, self.head, self.size, self.loss)

    @property
    def scorer(self) -> Scorer:
        return self.base.scorer

    @property
    def presenter(self) -> Presenter[Any]:
        return self.base.presenter

    def to_dict(self) -> dict[str, JsonValue]:
        return self.base.to_dict()


@dataclass(frozen=True)
class GroupCodec(Codec):
    """Batches of groups carry the labels of each text as flags; all else is as it was."""

    base: Codec
    flags: LabelFlags

    roles: ClassVar[tuple[Role, ...]] = ()

    def records_of(self, inputs: Sequence[object]) -> Records:
        return self.base.records_of(inputs)

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return self.base.read_targets(records, faults)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        return self.base.encode(tokenizer, records, max_length, progress)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """The texts of some groups, group after group, with `labels` (B · S, K) of 0 and 1."""
        if not isinstance(examples, Groups):
            return self.base.collate(examples, indices, pad_id)
        rows = examples.rows_of(indices)
        texts = Examples(examples.encoded, None, examples.records)
        batch = self.base.collate(texts, rows, pad_id)
        assert examples.targets is not None
        batch["labels"] = self.flags.of(examples.targets[rows]).astype(np.float32)
        return batch


@dataclass(frozen=True)
class ContrastObjective(Objective):
    """Features of texts with the same labels close to one another, and of others far apart.

    Features are what the head reads, and their closeness is the cosine.
    """

    base: Objective
    name: str
    """The head's."""
    size: int
    contrast: ContrastLoss

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        return self.base.head(base, pooling)

    def count(self, batch: Batch) -> float:
        return self.contrast.count(likeness(self._groups(batch["labels"])))

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        from welltuned.models.head_layer import head_layer, readings_of

        with readings_of(head_layer(model, self.name)) as read:
            self.base.outputs(model, batch)
        features_BSH = self._groups(functional.normalize(read[0].float(), dim=-1))
        alike_BSS = likeness(self._groups(batch["labels"]))
        return self.contrast.sum(features_BSH @ features_BSH.transpose(1, 2), alike_BSS)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return self.base.outputs(model, batch)

    def _groups(self, rows_RX: torch.Tensor) -> torch.Tensor:
        """Rows (B · S, X) group by group (B, S, X)."""
        return rows_RX.unflatten(0, (-1, self.size))
