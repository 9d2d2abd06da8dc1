"""EvalModel: a model with everything needed to read texts with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from welltuned.data.encoding import Encoded, encode_texts
from welltuned.evaluation.features import Precision, pooled_states
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.anatomy import Anatomy
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class EvalModel:
    """A model as it is now. Nothing here changes it, nor the modes of its modules."""

    model: nn.Module
    anatomy: Anatomy
    tokenizer: PreTrainedTokenizerBase
    pad_id: int
    max_length: int
    batch_size: int
    has_lm_head: bool
    """Whether it is a language model with its own output layer, and not a new head."""
    precision: Precision = nullcontext

    def encode(self, texts: Sequence[str]) -> Encoded:
        return encode_texts(self.tokenizer, texts, None, self.max_length)

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """The trunk's representation of each text: last hidden states, mean-pooled (N, H)."""
        return pooled_states(
            self.model,
            self.anatomy,
            self.encode(texts),
            self.pad_id,
            "mean",
            self.batch_size,
            self.precision,
            last_only=True,
        )[0]

    def outputs(self, problem: Problem, examples: Examples) -> np.ndarray:
        """The problem's outputs (N, …)."""
        return predict_outputs(
            self.model, problem, examples, self.pad_id, self.batch_size, self.precision()
        )
