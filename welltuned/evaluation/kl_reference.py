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

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from welltuned.data.batching import evaluation_batches
from welltuned.data.encoding import Encoded, pad
from welltuned.data.kept_values import Once, each_time
from welltuned.evaluation.features import Precision
from welltuned.models.freezing import in_eval_mode
from welltuned.models.language_head import (
    LanguageHead,
    check_head,
    default_chunk,
    predicted,
    uncached,
)

_SAMPLE = 32
"""Tokens of a text on which it is checked that the logits are the output layer's."""
_MOST_TOKENS = 20_000
"""Tokens whose hidden states are kept at most: 0.3 GB where they are 4,096 numbers wide."""


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
                for indices, found_MH, rows_M in _read(model, head, texts, pad_id, batch_size):
                    for row, text in enumerate(indices):
                        hidden[text] = found_MH[rows_M == row].float().cpu().numpy()
            return hidden

        hidden = [torch.from_numpy(found_MH) for found_MH in once(["hidden states", texts], read)]
        return cls(texts, pad_id, hidden, _remembered(head, trains))

    def divergences(
        self,
        model: nn.Module,
        chosen: Sequence[int],
        batch_size: int,
        precision: Precision = nullcontext,
    ) -> tuple[torch.Tensor, np.ndarray]:
        """KL(reference || model) in nats for each of M labelled tokens of the chosen texts.

        Returns it (M), with gradients into `model`, and which text each token is of (M).
        Dropout is off: a model is at no distance from itself. Who goes backward through it
        keeps the model in eval mode till then, for chunks are computed once more.
        """
        head = LanguageHead(model)
        texts = self.texts.take(list(chosen))
        parts: list[torch.Tensor] = []
        of: list[np.ndarray] = []
        with precision():
            for indices, now_MH, rows_M in _read(model, head, texts, self.pad_id, batch_size):
                numbers = np.asarray(chosen)[indices]
                then_MH = torch.cat([self.hidden[text] for text in numbers]).to(now_MH)
                parts += self._in_chunks(head, now_MH, then_MH)
                of.append(numbers[rows_M.cpu().numpy()])
        return torch.cat(parts), np.concatenate(of)

    def _in_chunks(
        self, head: LanguageHead, now_MH: torch.Tensor, then_MH: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Divergences a chunk of positions at a time, computed once more for gradients."""
        size = default_chunk(head.config.vocab_size)
        for now_CH, then_CH in zip(now_MH.split(size), then_MH.split(size), strict=True):
            if torch.is_grad_enabled():
                yield checkpoint(self._chunk, head, now_CH, then_CH, use_reentrant=False)
            else:
                yield self._chunk(head, now_CH, then_CH)

    def _chunk(
        self, head: LanguageHead, now_CH: torch.Tensor, then_CH: torch.Tensor
    ) -> torch.Tensor:
        with uncached(now_CH.device.type):
            with torch.no_grad():
                then_CV = self.head.logits(then_CH).float().log_softmax(dim=-1)
            now_CV = head.logits(now_CH).float().log_softmax(dim=-1)
        return (then_CV.exp() * (then_CV - now_CV)).sum(dim=-1)


def _read(
    model: nn.Module, head: LanguageHead, texts: Encoded, pad_id: int, batch_size: int
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """(indices (B), hidden states (M, H) before labelled tokens, the row of each (M)) by batch."""
    device = next(model.parameters()).device
    for indices in evaluation_batches(texts.lengths, batch_size):
        padded = pad(texts, indices.tolist(), pad_id)
        batch = {name: torch.from_numpy(array).to(device) for name, array in padded.items()}
        rows_M, before_M = predicted(batch.pop("labels")).nonzero(as_tuple=True)
        with in_eval_mode(model):
            hidden_BTH = head.hidden(batch.pop("input_ids"), batch)
        yield indices, hidden_BTH[rows_M, before_M], rows_M


def _remembered(head: LanguageHead, trains: Collection[int]) -> LanguageHead:
    """The head without its trunk, and with an output layer that stays as it is."""
    kept = copy.copy(head)
    kept.trunk = None
    wrapped = not isinstance(head.output, nn.Linear)  # by PEFT, which may switch it on and off
    if wrapped or any(id(parameter) in trains for parameter in head.output.parameters()):
        kept.output = copy.deepcopy(head.output).requires_grad_(False)
    return kept


def has_plain_logits(model: nn.Module, texts: Encoded) -> bool:
    """Whether the model's logits are those of its output layer and can be had in chunks.

    Tried on the beginning of the first text.
    """
    device = next(model.parameters()).device
    ids_1T = torch.from_numpy(texts[0][:_SAMPLE].astype(np.int64)).unsqueeze(0).to(device)
    return check_head(model, ids_1T, torch.ones_like(ids_1T))


def affordable(lengths_N: np.ndarray, order: Sequence[int], most: int) -> list[int]:
    """The first texts of an order whose hidden states may be kept: at most so many, and few tokens.

    One text at least.
    """
    within = np.cumsum(lengths_N[list(order[:most])]) <= _MOST_TOKENS
    return list(order[: max(1, int(within.sum()))])
