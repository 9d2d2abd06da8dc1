"""Cross-entropy of a masked language model, with logits of the hidden positions alone.

A batch hides one token in seven, and logits (B, T, vocabulary) are most of the work of a small
encoder. Whatever stands on the trunk reads every position by itself, so the trunk's last hidden
states are cut to the positions that count before the model's own head sees them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from welltuned.models.anatomy import unwrapped

_IGNORED = -100
"""The label of tokens that no loss is computed on, as everywhere in torch and transformers."""


@dataclass(frozen=True)
class MaskedLosses:
    """A model's losses on M hidden tokens, row by row and from left to right."""

    losses_M: torch.Tensor
    """The negative log-likelihood of each (float32); gradients flow through it."""
    hits_M: torch.Tensor
    """Whether the arg max is the hidden token (bool)."""
    rows_M: torch.Tensor
    """The row of the batch each token stands in."""


def masked_losses(
    model: nn.Module, input_ids: torch.Tensor, labels: torch.Tensor, **inputs: torch.Tensor
) -> MaskedLosses:
    """The losses of hidden tokens under a masked language model, or a PeftModel around one.

    input_ids, labels (B, T); a label stands where its token does, and is -100 where there is none.
    """
    rows_M, places_M = (labels != _IGNORED).nonzero(as_tuple=True)
    with _cut_to(model, rows_M, places_M) as cut:
        logits = model(input_ids=input_ids, **inputs).logits
    logits_MV = (logits[0] if cut else logits[rows_M, places_M]).float()
    targets_M = labels[rows_M, places_M]
    losses_M = functional.cross_entropy(logits_MV, targets_M, reduction="none")
    hits_M = logits_MV.detach().argmax(dim=-1) == targets_M
    return MaskedLosses(losses_M, hits_M, rows_M)


@contextmanager
def _cut_to(model: nn.Module, rows_M: torch.Tensor, places_M: torch.Tensor) -> Iterator[bool]:
    """While it holds, the head reads these positions alone, as one row (1, M, H).

    Whether it does: not where the trunk cannot be told from the model.
    """
    inner = unwrapped(model)
    trunk: nn.Module = inner.base_model

    def cut(module: nn.Module, given: object, output: Any) -> Any:
        picked = output[0][rows_M, places_M].unsqueeze(0)
        if isinstance(output, tuple):
            return (picked, *output[1:])
        output["last_hidden_state"] = picked
        return output

    if trunk is inner:
        yield False
        return
    hook = trunk.register_forward_hook(cut)
    try:
        yield True
    finally:
        hook.remove()
