"""Masked language modelling: an encoder's own output layer, and its loss by hidden token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import JsonValue

from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import Fault, InputError
from welltuned.metrics import Predictions, TokenPredictions
from welltuned.models.loading import Head
from welltuned.tasks.base import Problem
from welltuned.tasks.masked_language_modelling.codec import MaskingCodec
from welltuned.tasks.parts import Objective, Presenter, Scorer

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig

    from welltuned.tasks.masked_language_modelling.config import MaskedLanguageModelling
    from welltuned.tasks.parts import Batch


@dataclass(frozen=True)
class MaskedLanguageModellingProblem(Problem):
    """Texts to foretell hidden words of."""

    config: MaskedLanguageModelling

    type: ClassVar[str] = "masked_language_modelling"
    peft_task_type: ClassVar[str] = "FEATURE_EXTRACTION"
    auto_class: ClassVar[str] = "AutoModelForMaskedLM"
    has_new_head: ClassVar[bool] = False

    @property
    def codec(self) -> MaskingCodec:
        return MaskingCodec(self.config)

    @property
    def objective(self) -> MaskedTokens:
        return MaskedTokens()

    @property
    def scorer(self) -> MaskedTokenScorer:
        return MaskedTokenScorer()

    @property
    def presenter(self) -> MaskedTextPresenter:
        return MaskedTextPresenter()

    def to_dict(self) -> dict[str, JsonValue]:
        return {"type": self.type, "config": self.config.model_dump(mode="json")}


@dataclass(frozen=True)
class MaskedTokens(Objective):
    """Cross-entropy of the hidden tokens, by the model's own output layer."""

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForMaskedLM

        from welltuned.models.anatomy import kind_of

        if kind_of(base) == "decoder":
            raise InputError(
                Fault(
                    "task.decoder_without_masks",
                    "'{family}' is a decoder: it foretells what follows, and no hidden words",
                    None,
                    "use an encoder such as BERT or RoBERTa, or set task: generation",
                    family=base.model_type,
                )
            )
        return Head(AutoModelForMaskedLM, base, new=False, masked=True)

    def count(self, batch: Batch) -> float:
        return float((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        from welltuned.models.masked_head import masked_losses

        return masked_losses(model, **batch).losses_M.sum()

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Per row: the summed loss, the tokens it was summed over, how many were foretold."""
        from welltuned.models.masked_head import masked_losses

        found = masked_losses(model, **batch)
        facts_M3 = found.losses_M.new_ones(len(found.losses_M), 3)
        facts_M3[:, 0], facts_M3[:, 2] = found.losses_M, found.hits_M.float()
        facts_B3 = facts_M3.new_zeros(len(batch["input_ids"]), 3)
        return facts_B3.index_add(0, found.rows_M, facts_M3)


class MaskedTokenScorer(Scorer):
    """Loss and perplexity by hidden token, and how often the likeliest one was right."""

    @property
    def family(self) -> type[Predictions]:
        return TokenPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> TokenPredictions:
        return TokenPredictions(outputs_NK)


class MaskedTextPresenter(Presenter[np.int64]):
    """Texts, and how likely what was hidden of them was."""

    label: ClassVar[str] = "tokens to hide"

    def headline(self, facts: Mapping[str, object]) -> str:
        return "masked language modelling"

    def describe(self, outputs_NK: np.ndarray) -> Sequence[Mapping[str, object]]:
        return [
            {"loss": float(loss / max(count, 1)), "tokens": int(count)}
            for loss, count, _ in outputs_NK
        ]

    def target_of(self, target: np.int64) -> int:
        return int(target)
