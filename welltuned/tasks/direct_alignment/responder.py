"""Answers of the generator that results, in answer to prompts of judged responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.records import Records
from welltuned.tasks import responses
from welltuned.tasks.direct_alignment.codec import answered
from welltuned.tasks.generation import Generation, GenerationProblem
from welltuned.tasks.generation.codec import Style
from welltuned.tasks.generation.decoding import Decoding
from welltuned.tasks.responder import Responder, ScoredExamples
from welltuned.tasks.responses import Form

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


def generation_of(
    decoding: Decoding, scored_examples: ScoredExamples, style: Style
) -> GenerationProblem:
    """What a model is for that was tuned by judgements of its answers."""
    return GenerationProblem(Generation(decoding=decoding, scored_examples=scored_examples), style)


@dataclass(frozen=True)
class PromptResponder(Responder):
    """Answers prompts as the generator that results does."""

    decoding: Decoding
    scored_examples: ScoredExamples
    form: Form

    @property
    def number(self) -> ScoredExamples:
        return self.scored_examples

    @property
    def max_new_tokens(self) -> int:
        return self.decoding.max_new_tokens

    def decoding_as(self, **changes: float) -> PromptResponder:
        known = self.decoding.model_dump()
        return replace(self, decoding=type(self.decoding).model_validate({**known, **changes}))

    def reads_turns(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        return self._generation(tokenizer).responder.reads_turns(tokenizer)

    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[str]:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.respond(
            model, tokenizer, asked, max_length, batch_size, progress
        )

    def cut(self, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int) -> np.ndarray:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.cut(tokenizer, asked, limit)

    def prompt_lengths(self, tokenizer: PreTrainedTokenizerBase, records: Records) -> np.ndarray:
        generation = self._generation(tokenizer)
        asked = answered(records, generation.style)
        return generation.responder.prompt_lengths(tokenizer, asked)

    def answer_length(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int
    ) -> int | None:
        generation = self._generation(tokenizer)
        asked = answered(records.take([0]), generation.style)
        return generation.responder.answer_length(model, tokenizer, asked, limit)

    def settle(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        self._generation(tokenizer).responder.settle(model, tokenizer)

    def stream(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        given: object,
        max_length: int,
        say: Callable[[str], object],
    ) -> str:
        responder = self._generation(tokenizer).responder
        return responder.stream(model, tokenizer, given, max_length, say)

    def _generation(self, tokenizer: PreTrainedTokenizerBase) -> GenerationProblem:
        style = responses.style_of(tokenizer, self.form)
        return generation_of(self.decoding, self.scored_examples, style)
