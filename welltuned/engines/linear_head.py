"""A linear head apart from the frozen model below it, which need not run again for a text.

`LinearHead` notes what the head reads, and lets that stand for the model afterwards. `HeadData` are
all training examples as the head reads them, and `Standardised` is the head that is fitted to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from welltuned.data.batching import evaluation_batches
from welltuned.data.tokens.encoding import IGNORED
from welltuned.engines.device import autocast
from welltuned.engines.job import Job
from welltuned.models.anatomy import Anatomy
from welltuned.models.freezing import in_eval_mode
from welltuned.models.head_layer import head_layer, readings_of

_HARDLY = 1e-6
"""Of the largest spread of a feature: what varies less counts for nothing."""
_TRIED = 4
"""Examples that the head is tried on."""
_ALIKE = 1e-4
"""How much the loss on them may differ, as a share."""


class LinearHead:
    """The one linear layer that stands on a model's trunk."""

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        self._model: Any = model
        self.layer: Any = head_layer(model, anatomy.head[0])

    @contextmanager
    def recorded(self) -> Iterator[list[torch.Tensor]]:
        """What the layer reads within this context, call by call."""
        with readings_of(self.layer, detached=True) as found:
            yield found

    @contextmanager
    def replayed(self, read: Iterable[torch.Tensor]) -> Iterator[None]:
        """Within this context the model is its head alone, which reads this, call by call."""
        rest = iter(read)
        self._model.forward = lambda **given: SimpleNamespace(logits=self.layer(next(rest)))
        try:
            yield
        finally:
            del self._model.forward  # the class's own comes back


@dataclass(frozen=True)
class HeadData:
    """Training examples as a linear head reads them, in float64, of whose sums an optimum is clear
    to see."""

    features: torch.Tensor
    """(N, H), or of labelled tokens (1, M, H)."""
    labels: torch.Tensor
    """(N, …) or (1, M)."""

    @property
    def rows(self) -> int:
        """How many readings of the head there are."""
        return self.features[..., 0].numel()

    @property
    def batch(self) -> dict[str, torch.Tensor]:
        return {"labels": self.labels}


def read_head_data(job: Job, head: LinearHead) -> HeadData:
    """Run the frozen model over the training examples once."""
    features, labels, size = [], [], job.training.per_device_eval_batch_size
    with in_eval_mode(job.model), torch.no_grad(), autocast(job.precision, job.device):
        for indices in evaluation_batches(job.examples.lengths, size):
            batch = job.collate(indices, job.device)
            with head.recorded() as read:
                job.problem.objective.outputs(job.model, batch)
            some, theirs = _labelled(read, batch["labels"])
            features.append(some)
            labels.append(theirs)
            job.listener.read(sum(map(len, labels)), len(job.examples))
    along = features[0].ndim - 2  # tokens stand in one long row
    together = torch.cat(labels, along)
    if together.is_floating_point():
        together = together.double()
    return HeadData(torch.cat(features, along).double(), together)


def _labelled(read: list[torch.Tensor], labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands for a label each, and the labels."""
    if len(read) == 1 and read[0].ndim == 2 and len(read[0]) == len(labels):
        return read[0], labels
    if len(read) == 1 and read[0].ndim == 3 and read[0].shape[:2] == labels.shape:
        seen = labels != IGNORED
        return read[0][seen][None], labels[seen][None]
    raise ValueError("labels and what the head reads do not match one to one")


class Standardised(nn.Module):
    """The head on features of mean 0 and deviation 1, where L2 means the same for each of them.

    It stands for the whole model: what it answers are the logits of all of the data.
    """

    def __init__(self, data: HeadData, layer: nn.Linear) -> None:
        super().__init__()
        rows = data.features.flatten(0, -2)
        mean_H, spread_H = rows.mean(0), rows.std(0, correction=0)
        varies_H = spread_H > _HARDLY * spread_H.max()
        self._scale_H = torch.where(varies_H, 1 / spread_H, 0.0)
        self._mean_H = mean_H if layer.bias is not None else torch.zeros_like(mean_H)
        self._features = (data.features - self._mean_H) * self._scale_H
        self.weight = nn.Parameter(torch.zeros_like(layer.weight, dtype=data.features.dtype))
        new = self.weight.new_zeros(layer.out_features)
        self.bias = None if layer.bias is None else nn.Parameter(new)

    def forward(self, **nothing: object) -> SimpleNamespace:
        """Logits of all examples, or of all labelled tokens."""
        return SimpleNamespace(logits=functional.linear(self._features, self.weight, self.bias))

    @torch.no_grad()
    def write_to(self, layer: nn.Linear) -> None:
        """The same map of features as they are."""
        weight_KH = self.weight * self._scale_H
        layer.weight.copy_(weight_KH)
        if self.bias is not None:
            layer.bias.copy_(self.bias - weight_KH @ self._mean_H)


def head_refusal(job: Job, head: LinearHead) -> str | None:
    """Why the head's readings cannot stand for the model, tried on a few examples; or None."""
    some = np.arange(min(_TRIED, len(job.examples)))
    batch, objective = job.collate(some, job.device), job.problem.objective
    with in_eval_mode(job.model), torch.no_grad(), autocast(job.precision, job.device):
        with head.recorded() as read:
            whole = float(objective.loss(job.model, batch))
        try:
            features, labels = _labelled(read, batch["labels"])
        except (ValueError, KeyError):
            return "its loss is not of one label at a time"
        with head.replayed([features]):
            alone = float(objective.loss(job.model, {"labels": labels}))
    if abs(whole - alone) > _ALIKE * max(abs(whole), 1.0):
        return "its model does more than read the head's logits"
    return None
