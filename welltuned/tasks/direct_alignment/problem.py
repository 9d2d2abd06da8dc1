"""A generator tuned by judgements of answers; what results is an ordinary generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.tasks import responses
from welltuned.tasks.base import Problem
from welltuned.tasks.direct_alignment.codec import answered
from welltuned.tasks.direct_alignment.config import DirectAlignment
from welltuned.tasks.direct_alignment.responder import PromptResponder, generation_of
from welltuned.tasks.generation import GenerationProblem
from welltuned.tasks.generation.codec import Style
from welltuned.tasks.responses import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROVED = 30
"""Characters of prompt and response on which the saved model is compared with the trained one."""


@dataclass(frozen=True)
class DirectAlignmentProblem(Problem):
    """What all of them have in common, with the form of examples known."""

    config: DirectAlignment
    form: Form

    peft_task_type: ClassVar[str] = "CAUSAL_LM"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"
    has_new_head: ClassVar[bool] = False
    supports_replay: ClassVar[bool] = False

    @property
    def responder(self) -> PromptResponder:
        return PromptResponder(self.config.decoding, self.config.scored_examples, self.form)

    def generation(self, style: Style) -> GenerationProblem:
        """What the tuned model is for."""
        return generation_of(self.config.decoding, self.config.scored_examples, style)

    def saved_as(
        self, tokenizer: PreTrainedTokenizerBase, records: Records
    ) -> tuple[Problem, Records]:
        generation = self.generation(responses.style_of(tokenizer, self.form))
        return generation, answered(records, generation.style, _PROVED)

    def to_dict(self) -> dict[str, JsonValue]:
        return {"type": self.type, "form": self.form, "config": self.config.model_dump(mode="json")}
