"""EvalModel: a model with everything needed to read texts with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import nn

from welltuned.data.storage.kept_values import kept_answers
from welltuned.data.tokens.encoding import Encoded, encode_texts
from welltuned.evaluation.features import Precision, pooled_states
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.anatomy import Anatomy
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")


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
    masked: bool = False
    """Whether that layer foretells hidden tokens, and not those that follow."""
    precision: Precision = nullcontext
    known_as: str | None = None
    """What tells it from models that answer otherwise; given where it is met again and again."""

    @property
    def speaks(self) -> bool:
        """Whether it says what follows a text."""
        return self.has_lm_head and not self.masked

    def once(self, follows_from: object, make: Callable[[], T]) -> T:
        """What `make` gives, unless this model was asked the same before, in this run or another.

        Its answers follow from what `fingerprint` can tell apart.
        """
        if self.known_as is None:
            return make()
        return kept_answers().once([self.known_as, self.batch_size, follows_from], make)

    def encode(self, texts: Sequence[str]) -> Encoded:
        return encode_texts(self.tokenizer, texts, None, self.max_length)

    def features(self, texts: Sequence[str]) -> np.ndarray:
        """The trunk's representation of each text: last hidden states, mean-pooled (N, H)."""
        encoded = self.encode(texts)

        def read() -> np.ndarray:
            return pooled_states(
                self.model,
                self.anatomy,
                encoded,
                self.pad_id,
                "mean",
                self.batch_size,
                self.precision,
                last_only=True,
            )[0]

        return self.once(["features", encoded], read)

    def outputs(
        self,
        problem: Problem,
        examples: Examples,
        progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """The problem's outputs (N, …)."""

        def read() -> np.ndarray:
            return predict_outputs(
                self.model,
                problem,
                examples,
                self.pad_id,
                self.batch_size,
                self.precision(),
                progress,
            )

        return self.once(["outputs", problem.to_dict(), examples], read)
