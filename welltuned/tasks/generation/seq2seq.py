"""Generation by an encoder-decoder: the prompt is read by its encoder, and its decoder answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED, Encoded, encode_texts
from welltuned.models.loading import Head
from welltuned.tasks.base import Actions
from welltuned.tasks.families import require_seq2seq
from welltuned.tasks.generation.problem import GenerationProblem, LanguageModelling
from welltuned.tasks.generation.responder import TextResponder
from welltuned.tasks.generation.seq2seq_codec import Seq2SeqCodec, asked_text

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.language_head import TokenLosses
    from welltuned.tasks.generation.batched_decoding import BatchedDecoder
    from welltuned.tasks.generation.decoding import Decoding
    from welltuned.tasks.parts import Batch

_WHOLE = 2**31
"""Room for any prompt."""


@dataclass(frozen=True)
class Seq2SeqProblem(GenerationProblem):
    """Generation by an encoder-decoder, with the style of examples known."""

    peft_task_type: ClassVar[str] = "SEQ_2_SEQ_LM"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"
    actions: ClassVar[Actions | None] = None

    @property
    def codec(self) -> Seq2SeqCodec:
        return Seq2SeqCodec(self.config, self.style)

    @property
    def objective(self) -> Seq2SeqModelling:
        return Seq2SeqModelling()

    @property
    def responder(self) -> Seq2SeqResponder:
        return Seq2SeqResponder(self.config, self.style)

    @property
    def prompter(self) -> None:
        """It is no policy: rollouts go on from a prompt."""
        return None

    def to_dict(self) -> dict[str, JsonValue]:
        return {**super().to_dict(), "encoder": True}


@dataclass(frozen=True)
class Seq2SeqModelling(LanguageModelling):
    """Cross-entropy of the response's tokens, given the prompt."""

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForSeq2SeqLM

        require_seq2seq(base)
        return Head(AutoModelForSeq2SeqLM, base, new=False)

    def count(self, batch: Batch) -> float:
        return float((batch["labels"] != IGNORED).sum())

    def judged(self, model: nn.Module, batch: Batch) -> TokenLosses:
        from welltuned.models.encoder_decoder import response_losses

        names = ("input_ids", "attention_mask", "labels")
        return response_losses(model, *(batch[name] for name in names))


@dataclass(frozen=True)
class Seq2SeqResponder(TextResponder):
    """Answers by `generate` of transformers, whose encoder reads each prompt once."""

    def prompt_lengths(self, tokenizer: PreTrainedTokenizerBase, records: Records) -> np.ndarray:
        return self._prompts(tokenizer, records, _WHOLE).lengths

    def _prompts(self, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int) -> Encoded:
        """Prompts as tokens; those too long lose their end. Answers take none of their room."""
        asked = [asked_text(self.style, records, i) for i in range(len(records))]
        return encode_texts(tokenizer, asked, None, limit)

    def _decoder(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        decoding: Decoding,
        **options: object,
    ) -> BatchedDecoder:
        from welltuned.tasks.generation.seq2seq_decoding import Seq2SeqDecoder

        plain = super()._decoder(model, tokenizer, decoding, **options)
        return Seq2SeqDecoder(plain.model, plain.options)
