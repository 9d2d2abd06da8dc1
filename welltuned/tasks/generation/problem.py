"""Text generation: a causal language model, its loss by token, and its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.errors import Fault, InputError
from welltuned.metrics import Predictions, TokenPredictions
from welltuned.models.loading import Head
from welltuned.tasks.base import Actions, Problem
from welltuned.tasks.examples import Examples
from welltuned.tasks.families import require_one_stack
from welltuned.tasks.generation.codec import ConversationCodec, Style, reference_of
from welltuned.tasks.generation.prompter import TextPrompter
from welltuned.tasks.generation.responder import TextResponder
from welltuned.tasks.parts import Objective, Presenter, Scorer

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig

    from welltuned.models.language_head import TokenLosses
    from welltuned.models.loading import Head
    from welltuned.tasks.generation.config import Generation
    from welltuned.tasks.parts import Batch

_SAMPLE = 32
"""Tokens of the text on which the short cut to the loss is checked."""


@dataclass(frozen=True)
class GenerationProblem(Problem):
    """Generation, with the style of examples known."""

    config: Generation
    style: Style

    type: ClassVar[str] = "generation"
    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    has_new_head: ClassVar[bool] = False
    actions: ClassVar[Actions | None] = "text"

    @property
    def codec(self) -> ConversationCodec:
        return ConversationCodec(self.config, self.style)

    @property
    def objective(self) -> LanguageModelling:
        return LanguageModelling()

    @property
    def scorer(self) -> TokenScorer:
        return TokenScorer()

    @property
    def presenter(self) -> TextPresenter:
        return TextPresenter(self.style)

    @property
    def responder(self) -> TextResponder:
        return TextResponder(self.config, self.style)

    @property
    def prompter(self) -> TextPrompter | None:
        return TextPrompter(self.codec)

    def reading(self, records: Records) -> GenerationProblem:
        """Conversations may be protected by plain text, and the other way round."""
        return replace(self, style="plain" if records["messages"][0] is None else "chat")

    def to_dict(self) -> dict[str, JsonValue]:
        config = self.config.model_dump(mode="json")
        return {"type": self.type, "style": self.style, "config": config}


@dataclass(frozen=True)
class LanguageModelling(Objective):
    """Cross-entropy of the labelled tokens, by the model's own output layer."""

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForCausalLM

        from welltuned.models.anatomy import kind_of

        require_one_stack(base, "it compares whole responses by a model that goes on from a prompt")
        if kind_of(base) == "encoder":
            raise InputError(
                Fault(
                    "task.encoder_cannot_generate",
                    "'{family}' is an encoder and cannot generate text",
                    None,
                    "use a decoder such as Llama, Qwen or GPT-2",
                    family=base.model_type,
                )
            )
        return Head(AutoModelForCausalLM, base, new=False)

    def count(self, batch: Batch) -> float:
        return float((batch["labels"][:, 1:] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return self.judged(model, batch).losses_M.sum()

    def judged(self, model: nn.Module, batch: Batch) -> TokenLosses:
        """The loss of every labelled token."""
        return judge_tokens(model, batch)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Per example: the summed loss, the tokens it was summed over, how many were foreseen."""
        found = self.judged(model, batch)
        facts_M3 = found.losses_M.new_ones(len(found.losses_M), 3)
        facts_M3[:, 0], facts_M3[:, 2] = found.losses_M, found.hits_M.float()
        facts_B3 = facts_M3.new_zeros(len(batch["input_ids"]), 3)
        return facts_B3.index_add(0, found.rows_M, facts_M3)


class TokenScorer(Scorer):
    """Loss and perplexity per token, and how often the likeliest token was the right one."""

    @property
    def family(self) -> type[Predictions]:
        return TokenPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> TokenPredictions:
        return TokenPredictions(outputs_NK)


class TextLoss(TypedDict):
    """How likely an example's own answer was: its mean loss, and the tokens it is the mean of."""

    loss: float
    tokens: int


@dataclass(frozen=True)
class TextPresenter(Presenter[np.int64]):
    """Prompts, answers, and how likely the example's own answer was."""

    style: Style

    label: ClassVar[str] = "tokens learned"

    def headline(self, facts: Mapping[str, object]) -> str:
        return f"generation ({self.style})"

    def describe(self, outputs_NK: np.ndarray) -> list[TextLoss]:
        return [
            {"loss": float(loss / max(count, 1)), "tokens": int(count)}
            for loss, count, _ in outputs_NK
        ]

    def target_of(self, target: np.int64) -> int:
        return int(target)

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        records = examples.records
        for i, row in enumerate(self.describe(outputs_NK)):
            said = {name: answers[i] for name, answers in texts.items() if i in answers}
            if said:
                said = {"reference": reference_of(self.style, records, i) or "", **said}
            yield {"id": records.id(i), **row, **self.shown(records, i), **said}

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        if self.style == "plain":
            return {"prompt": records["prompt"][index]}
        turns = records["messages"][index]
        last = len(turns) - 1 if turns[-1]["role"] == "assistant" else len(turns)
        return {"prompt": "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns[:last])}


_NEEDS_ALL_LOGITS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Models whose logits are more than their output layer's, as found on their first batch."""


def judge_tokens(model: nn.Module, batch: Batch) -> TokenLosses:
    """The loss of every labelled token, without the full logits where the model allows it."""
    from welltuned.models.language_head import check_head, token_losses

    if model not in _NEEDS_ALL_LOGITS:
        sample = {name: tensor[:1, :_SAMPLE] for name, tensor in _inputs(batch).items()}
        del sample["labels"]
        _NEEDS_ALL_LOGITS[model] = not check_head(model, **sample)
    inputs: dict[str, Any] = {**_inputs(batch)}
    return token_losses(model, full=_NEEDS_ALL_LOGITS[model], **inputs)


def _inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """What the model reads. Packed rows go without a mask: their positions tell texts apart."""
    if "position_ids" in batch:
        return {name: tensor for name, tensor in batch.items() if name != "attention_mask"}
    return batch
