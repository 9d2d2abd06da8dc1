"""Chunked cross-entropy of a causal language model, without materialising all logits.

The logits of all positions (B, T, vocabulary) are by far the largest tensor of a
training step, and most of them are not asked for. Here the trunk runs alone, only
hidden states that predict a labelled token are kept, and the output layer reads
them a chunk at a time. With gradients all chunks but the last are computed once more
in the backward pass, so that the logits of one chunk are all that ever exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from welltuned.models.anatomy import unwrapped
from welltuned.models.checkpoint_context import contexts
from welltuned.models.compat.torch_api import uncounted
from welltuned.models.freezing import in_eval_mode

IGNORED = -100
"""The label of tokens that no loss is computed on, as everywhere in torch and transformers."""
_CHUNK_BYTES = 64 * 2**20
_TOLERANCE = 1e-4

Judge = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
"""From the logits (M, V) and targets (M) of some positions to what is wanted of each (M, …)."""


@dataclass(frozen=True)
class TokenLosses:
    """A model's losses on M labelled tokens, row by row and from left to right."""

    losses_M: torch.Tensor
    """The negative log-likelihood of each (float32); gradients flow through it."""
    hits_M: torch.Tensor
    """Whether the arg max is the labelled token (bool)."""
    rows_M: torch.Tensor
    """The row of the batch each token stands in."""
    positions_M: torch.Tensor
    """Its position in that row, from 1: nothing predicts the first token."""


@dataclass(frozen=True)
class TokenScores:
    """A policy's log-probabilities of M tokens, row by row and from left to right."""

    logprobs_M: torch.Tensor
    """The log-probability of each (float32); gradients flow through it."""
    entropies_M: torch.Tensor | None
    """The entropy of the distribution that each was drawn from, where it was asked for."""
    hidden_MH: torch.Tensor
    """The trunk's hidden state that each was predicted from."""
    rows_M: torch.Tensor
    positions_M: torch.Tensor
    """Row and position of each, as in `TokenLosses`."""


def predicted(labels_BT: torch.Tensor) -> torch.Tensor:
    """Which labels count, (B, T) -> (B, T - 1): `[b, t]` tells of the label at t + 1.

    The label of a row's first token never does: nothing stands before it.
    """
    return labels_BT[:, 1:] != IGNORED


def default_chunk(vocabulary: int) -> int:
    """Positions a chunk: as many as have float32 logits of at most 64 MiB, and one at least."""
    return max(1, _CHUNK_BYTES // (4 * vocabulary))


def token_losses(
    model: nn.Module,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    position_ids: torch.Tensor | None = None,
    chunk: int | None = None,
    full: bool = False,
    **inputs: object,
) -> TokenLosses:
    """The losses of labelled tokens under a causal language model, or a PeftModel around one.

    input_ids, labels (B, T); labels are not shifted, and -100 where there is none.
    `inputs` go to the trunk. A batch without labels has losses of shape (0,), whose
    sum still has gradients: zeros. `full` asks the model for all its logits instead,
    for models that `check_head` says no of.
    Raises `ValueError` when the model has no trunk or no output layer of its own.
    """
    inputs = {**_given(attention_mask, position_ids), **inputs}
    rows_M, before_M = predicted(labels).nonzero(as_tuple=True)
    targets_M = labels[rows_M, before_M + 1]
    if full:
        # The cache is for generation; with one, transformers does not see packed rows.
        logits_BTV = model(input_ids=input_ids, use_cache=False, **inputs).logits
        losses_M, hits_M = losses_and_hits(logits_BTV[rows_M, before_M], targets_M)
    else:
        head = LanguageHead(model)
        hidden_MH = head.hidden(input_ids, inputs)[rows_M, before_M]
        losses_M, hits_M = head.judged(hidden_MH, targets_M, chunk, losses_and_hits)
    return TokenLosses(losses_M, hits_M, rows_M, before_M + 1)


def token_scores(
    model: nn.Module,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    position_ids: torch.Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
    chunk: int | None = None,
    **inputs: object,
) -> TokenScores:
    """Log-probabilities of labelled tokens under logits / temperature.

    Shapes and errors are those of `token_losses`, but that all except `labels` may be without the
    last column, from which nothing is predicted. The hidden states come along, so that one pass of
    the trunk serves a policy and a value head.
    """
    head = LanguageHead(model)
    rows_M, before_M = predicted(labels).nonzero(as_tuple=True)
    targets_M = labels[rows_M, before_M + 1]
    given = {**_given(attention_mask, position_ids), **inputs}
    hidden_MH = head.hidden(input_ids, given)[rows_M, before_M]
    judge = partial(_score, temperature=temperature, entropy=entropy)
    found = head.judged(hidden_MH, targets_M, chunk, judge)
    entropies_M = found[1] if entropy else None
    return TokenScores(found[0], entropies_M, hidden_MH, rows_M, before_M + 1)


@torch.no_grad()
def check_head(
    model: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **inputs: object,
) -> bool:
    """Whether the short cut computes what the model does, on a short sample (B, T).

    That is, whether no logit of a real token differs by more than 1e-4 of the largest
    one. Some families do more to their logits than is known here.
    """
    try:
        head = LanguageHead(model)
    except ValueError:
        return False
    inputs = {**_given(attention_mask, None), **inputs}
    # It is no part of a step's cost. What `meta` imagines needs the modes around it.
    imagined = any(weight.is_meta for weight in model.parameters())
    apart = nullcontext() if imagined else uncounted()
    with in_eval_mode(model), apart:
        own_BTV = model(input_ids=input_ids, use_cache=False, **inputs).logits
        # All positions at once, as the model does: half precision would round others otherwise.
        ours_BTV = head.logits(head.hidden(input_ids, inputs))
    if own_BTV.shape != ours_BTV.shape:
        return False
    real = slice(None) if attention_mask is None else attention_mask.bool()
    own_MV, ours_MV = own_BTV[real].float(), ours_BTV[real].float()
    return bool((ours_MV - own_MV).abs().max() <= _TOLERANCE * own_MV.abs().max())


def _given(
    attention_mask: torch.Tensor | None, position_ids: torch.Tensor | None
) -> dict[str, torch.Tensor]:
    named = {"attention_mask": attention_mask, "position_ids": position_ids}
    return {name: value for name, value in named.items() if value is not None}


class LanguageHead:
    """The trunk and output layer inside a causal language model, wrapped or not."""

    def __init__(self, model: Any) -> None:
        inner = unwrapped(model)
        prefix = getattr(inner, "base_model_prefix", "")
        self.trunk: Any = getattr(inner, prefix, None) if prefix else None
        self.output: Any = inner.get_output_embeddings() if self.trunk is not None else None
        if self.output is None:
            raise ValueError(
                f"{type(inner).__name__} has no trunk with an output layer on it; "
                "its full logits are needed"
            )
        self.config = inner.config.get_text_config()

    def hidden(self, input_ids: torch.Tensor, inputs: Mapping[str, object]) -> torch.Tensor:
        """The trunk's last hidden states (B, T, H)."""
        return self.trunk(input_ids=input_ids, use_cache=False, **inputs)[0]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, H) -> (…, V).

        The layer is called, not its weight read: LoRA may have wrapped it. What
        follows is what Cohere, Granite and Gemma do.
        """
        logits: torch.Tensor = self.output(hidden)
        if (scale := getattr(self.config, "logit_scale", None)) is not None:
            logits = logits * scale
        if (scaling := getattr(self.config, "logits_scaling", None)) is not None:
            logits = logits / scaling
        if (cap := getattr(self.config, "final_logit_softcapping", None)) is not None:
            logits = torch.tanh(logits / cap) * cap
        return logits

    def judged(
        self, hidden_MH: torch.Tensor, targets_M: torch.Tensor, chunk: int | None, judge: Judge
    ) -> tuple[torch.Tensor, ...]:
        """`judge` applied to the logits, a chunk of positions at a time."""
        size = chunk or default_chunk(self.config.vocab_size)
        # No positions make one chunk of none: it ties the weights to the loss, with zeros.
        chunks = list(zip(hidden_MH.split(size), targets_M.split(size), strict=True))
        # The last chunk is the first whose gradients are asked for: its logits may wait for them.
        parts = [self._chunk_twice(*pair, judge) for pair in chunks[:-1]]
        parts.append(self._chunk(*chunks[-1], judge))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _chunk_twice(
        self, hidden_CH: torch.Tensor, targets_C: torch.Tensor, judge: Judge
    ) -> tuple[torch.Tensor, ...]:
        """As `_chunk`; with gradients, once more in the backward pass."""
        if torch.is_grad_enabled():
            return checkpoint(
                self._chunk, hidden_CH, targets_C, judge, use_reentrant=False, context_fn=contexts
            )
        return self._chunk(hidden_CH, targets_C, judge)

    def _chunk(
        self, hidden_CH: torch.Tensor, targets_C: torch.Tensor, judge: Judge
    ) -> tuple[torch.Tensor, ...]:
        with uncached(hidden_CH.device.type):
            return judge(self.logits(hidden_CH), targets_C)


def losses_and_hits(
    logits_MV: torch.Tensor, targets_M: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each position (float32) and whether its arg max hits, (M, V) -> (M), (M)."""
    logits_MV = logits_MV.float()
    losses_M = functional.cross_entropy(logits_MV, targets_M, reduction="none")
    # After the loss: the second pass of a checkpoint ends with what gradients need.
    return losses_M, logits_MV.detach().max(dim=-1).indices == targets_M


def _score(
    logits_MV: torch.Tensor, targets_M: torch.Tensor, temperature: float, entropy: bool
) -> tuple[torch.Tensor, ...]:
    """The log-probability (M) of each target, and the entropy (M) if asked for (float32)."""
    logits_MV = tempered(logits_MV, temperature)
    logprobs_M = -functional.cross_entropy(logits_MV, targets_M, reduction="none")
    if not entropy:
        return (logprobs_M,)
    shares_MV = logits_MV.softmax(dim=-1)
    return logprobs_M, logits_MV.logsumexp(dim=-1) - (shares_MV * logits_MV).sum(dim=-1)


def tempered(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Logits / temperature in float32; no copy where neither changes them."""
    logits = logits.float()
    return logits if temperature == 1 else logits / temperature


def uncached(device_type: str) -> AbstractContextManager[object]:
    """Autocast as it is, without its cache.

    A cached half-precision copy of the output layer's weight would be shared by all
    chunks, and their gradients would be summed in half precision.
    """
    if not torch.amp.is_autocast_available(device_type):  # `meta`, say, where models are imagined
        return nullcontext()
    return torch.autocast(
        device_type,
        dtype=torch.get_autocast_dtype(device_type),
        enabled=torch.is_autocast_enabled(device_type),
        cache_enabled=False,
    )
