"""What a language model lost of general texts: its loss on them beside that of another.

For models that no single run leads from one to the other, such as the first and the last of
several runs in a row. Each is loaded by itself, so memory holds one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from welltuned.metrics.intervals import percentile_interval, resampled_sums
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_tokenizer, read_weights
from welltuned.models.silence import quiet

_BATCH = 8
_LONGEST = 64
"""Tokens of a text that are read."""


@dataclass(frozen=True)
class TextChange:
    """Mean losses per token, in nats; above 0 the difference is what was forgotten."""

    texts: int
    before: float
    after: float
    difference_ci95: list[float]
    """By texts, each with both of its losses."""

    @property
    def difference(self) -> float:
        return self.after - self.before


def text_change(before: ModelConfig, after: ModelConfig, texts: Sequence[str]) -> TextChange:
    """The losses of two language models on the same texts.

    Raises `InputError` where one of them cannot be had.
    """
    losses_N2 = np.stack([_losses(model, texts) for model in (before, after)], axis=1)
    draws_R2 = resampled_sums(losses_N2) / len(texts)
    first, last = losses_N2.mean(axis=0).tolist()
    return TextChange(len(texts), first, last, percentile_interval(draws_R2[:, 1] - draws_R2[:, 0]))


def _losses(model: ModelConfig, texts: Sequence[str]) -> np.ndarray:
    """The mean loss of each text (N)."""
    tokenizer = read_tokenizer(model)
    tokenizer.padding_side = "right"
    with quiet():
        loaded, _ = read_weights(model, AutoModelForCausalLM, read_model_config(model))
    losses = []
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer(
            list(texts[start : start + _BATCH]),
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits_BTV = loaded.eval()(**batch).logits[:, :-1].float()
        ids_BT, mask_BT = batch["input_ids"][:, 1:], batch["attention_mask"][:, 1:]
        losses_BT = functional.cross_entropy(logits_BTV.transpose(1, 2), ids_BT, reduction="none")
        losses.append((losses_BT * mask_BT).sum(dim=1) / mask_BT.sum(dim=1))
    return torch.cat(losses).double().numpy()
