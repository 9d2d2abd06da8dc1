"""The loss of an encoder-decoder on responses: one stack reads prompts, the other writes these."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from welltuned.models.anatomy import unwrapped
from welltuned.models.language_head import IGNORED, TokenLosses, losses_and_hits

SHIFT = "prepare_decoder_input_ids_from_labels"
"""The method by which a family says what its decoder is given: the response behind its start, or
behind the mark of its language."""


def response_losses(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> TokenLosses:
    """The losses of labelled tokens under an encoder-decoder, or a PeftModel around one.

    input_ids, attention_mask (B, S) are prompts; labels (B, T) are responses, -100 where there is
    none, and each is predicted at its own place. A batch without labels has losses of shape (0,),
    whose sum still has gradients: zeros.
    """
    shift: Any = getattr(unwrapped(model), SHIFT)
    logits_BTV = model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        decoder_input_ids=shift(labels=labels),
        use_cache=False,
    ).logits
    rows_M, places_M = (labels != IGNORED).nonzero(as_tuple=True)
    losses_M, hits_M = losses_and_hits(logits_BTV[rows_M, places_M], labels[rows_M, places_M])
    return TokenLosses(losses_M, hits_M, rows_M, places_M + 1)
