"""Reference distribution of a language model, kept to measure the KL divergence from it later.

The Kullback-Leibler divergence needs both models' probabilities of every token of the vocabulary.
They are never kept: what is stored are the last hidden states of some texts, and the output layer.
Logits are computed from them anew, a chunk of positions at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from welltuned.data.batching import evaluation_batches
from welltuned.data.storage.kept_values import Once, each_time
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.evaluation.features import Precision
from welltuned.models.freezing import in_eval_mode
from welltuned.models.language_head import (
    LanguageHead,
    check_head,
    default_chunk,
    predicted,
    uncached,
)
from welltuned.models.sharding import is_sharded, through

_SAMPLE = 32
"""Tokens of a text on which it is checked that the logits are the output layer's."""
_MOST_TOKENS = 20_000
"""Tokens whose hidden states are kept at most: 0.3 GB where they are 4,096 numbers wide."""


@dataclass(frozen=True)
class TokenComparison:
    """A model beside its reference on M labelled tokens."""

    nats_M: torch.Tensor
    """KL(reference || model), with gradients into the model."""
    texts_M: np.ndarray
    """The text of each."""
    losses_2M: torch.Tensor
    """The negative log-likelihood of each label under the reference and the model; no gradients."""


@dataclass(frozen=True)
class KLReference:
    """A language model's output on N texts."""

    texts: Encoded
    """They carry labels: where there is one, the prediction of that token is compared."""
    pad_id: int
    hidden: list[torch.Tensor]
    """For each text the last hidden states before its labelled tokens (M, H), on the CPU."""
    head: LanguageHead
    """The output layer, without a trunk; a copy where the model's own may change."""

    @classmethod
    def of(
        cls,
        model: nn.Module,
        texts: Encoded,
        pad_id: int,
        batch_size: int,
        trains: Collection[int],
        precision: Precision = nullcontext,
        once: Once = each_time,
    ) -> KLReference:
        """Store `model` as the reference. `trains` are the ids of weights that will change.

        Only for models that `has_plain_logits` says yes of. `once` may know its hidden states.
        """
        head = LanguageHead(model)

        def read() -> list[np.ndarray]:
            hidden = [np.empty(0, np.float32)] * len(texts)
            with torch.no_grad(), precision():
                for found in _read(model, head, texts, pad_id, batch_size):
                    for row, text in enumerate(found.indices):
                        hidden_MH = found.hidden_MH[found.rows_M == row]
                        hidden[text] = hidden_MH.float().cpu().numpy()
            return hidden

        found = once(["hidden states", texts], lambda: through(model, read))
        hidden = [torch.from_numpy(found_MH) for found_MH in found]
        # A sharded layer is copied while it is whole, for it is asked long after.
        remember = partial(_remembered, head, trains, is_sharded(model))
        return cls(texts, pad_id, hidden, through(model, remember))

    def divergences(
        self,
        model: nn.Module,
        chosen: Sequence[int],
        batch_size: int,
        precision: Precision = nullcontext,
    ) -> tuple[torch.Tensor, np.ndarray]:
        """What `compared` finds of the divergence alone: nats (M), and the text of each (M)."""
        found = self.compared(model, chosen, batch_size, precision)
        return found.nats_M, found.texts_M

    def compared(
        self,
        model: nn.Module,
        chosen: Sequence[int],
        batch_size: int,
        precision: Precision = nullcontext,
    ) -> TokenComparison:
        """KL(reference || model) in nats for each of M labelled tokens of the chosen texts.

        The losses of both come along, from the same pass. Dropout is off: a model is at no distance
        from itself. Who goes backward through it keeps the model in eval mode till then, for
        chunks are computed once more.
        """
        head = LanguageHead(model)
        texts = self.texts.take(list(chosen))
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        of: list[np.ndarray] = []
        with precision():
            for read in _read(model, head, texts, self.pad_id, batch_size):
                numbers = np.asarray(chosen)[read.indices]
                then_MH = torch.cat([self.hidden[text] for text in numbers]).to(read.hidden_MH)
                parts += self._in_chunks(head, read.hidden_MH, then_MH, read.targets_M)
                of.append(numbers[read.rows_M.cpu().numpy()])
        nats, losses = zip(*parts, strict=True)
        return TokenComparison(torch.cat(nats), np.concatenate(of), torch.cat(losses, dim=1))

    def _in_chunks(
        self, head: LanguageHead, *tracks: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(divergences, losses) a chunk of positions at a time, computed once more for gradients.

        `tracks` are the hidden states now and then (M, H), and the labels (M).
        """
        size = default_chunk(head.config.vocab_size)
        for chunk in zip(*(track.split(size) for track in tracks), strict=True):
            if torch.is_grad_enabled():
                yield checkpoint(self._chunk, head, *chunk, use_reentrant=False)
            else:
                yield self._chunk(head, *chunk)

    def _chunk(
        self,
        head: LanguageHead,
        now_CH: torch.Tensor,
        then_CH: torch.Tensor,
        targets_C: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with uncached(now_CH.device.type):
            with torch.no_grad():
                then_CV = self.head.logits(then_CH).float().log_softmax(dim=-1)
            now_CV = head.logits(now_CH).float().log_softmax(dim=-1)
        both = (logs_CV.detach().gather(1, targets_C[:, None]) for logs_CV in (then_CV, now_CV))
        losses_2C = -torch.cat(list(both), dim=1).T
        return (then_CV.exp() * (then_CV - now_CV)).sum(dim=-1), losses_2C


@dataclass(frozen=True)
class _Read:
    """A batch as the trunk reads it."""

    indices: np.ndarray
    """Which texts (B)."""
    hidden_MH: torch.Tensor
    """Hidden states before labelled tokens."""
    rows_M: torch.Tensor
    """The row of each."""
    targets_M: torch.Tensor
    """The label of each."""


def _read(
    model: nn.Module, head: LanguageHead, texts: Encoded, pad_id: int, batch_size: int
) -> Iterator[_Read]:
    """Batches of like length."""
    device = next(model.parameters()).device
    for indices in evaluation_batches(texts.lengths, batch_size):
        padded = pad(texts, indices.tolist(), pad_id)
        batch = {name: torch.from_numpy(array).to(device) for name, array in padded.items()}
        labels_BT = batch.pop("labels")
        rows_M, before_M = predicted(labels_BT).nonzero(as_tuple=True)
        with in_eval_mode(model):
            hidden_BTH = head.hidden(batch.pop("input_ids"), batch)
        targets_M = labels_BT[rows_M, before_M + 1].long()
        yield _Read(indices, hidden_BTH[rows_M, before_M], rows_M, targets_M)


def _remembered(head: LanguageHead, trains: Collection[int], sharded: bool) -> LanguageHead:
    """The head without its trunk, and with an output layer that stays as it is."""
    kept = copy.copy(head)
    kept.trunk = None
    wrapped = not isinstance(head.output, nn.Linear)  # by PEFT, which may switch it on and off
    if wrapped or sharded or any(id(parameter) in trains for parameter in head.output.parameters()):
        kept.output = copy.deepcopy(head.output).requires_grad_(False)
    return kept


def has_plain_logits(model: nn.Module, texts: Encoded) -> bool:
    """Whether the model's logits are those of its output layer and can be had in chunks.

    Tried on the beginning of the first text.
    """
    device = next(model.parameters()).device
    ids_1T = torch.from_numpy(texts[0][:_SAMPLE].astype(np.int64)).unsqueeze(0).to(device)
    return through(model, lambda: check_head(model, ids_1T, torch.ones_like(ids_1T)))


def affordable(lengths_N: np.ndarray, order: Sequence[int], most: int) -> list[int]:
    """The first texts of an order whose hidden states may be kept: at most so many, and few tokens.

    One text at least.
    """
    within = np.cumsum(lengths_N[list(order[:most])]) <= _MOST_TOKENS
    return list(order[: max(1, int(within.sum()))])
