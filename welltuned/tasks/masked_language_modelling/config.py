"""The config of masked language modelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Role
from welltuned.errors import Faults
from welltuned.schema.part import conflict
from welltuned.tasks.base import Task, is_smoothed
from welltuned.tasks.masked_language_modelling.codec import ROLES
from welltuned.tasks.masked_language_modelling.problem import MaskedLanguageModellingProblem


class MaskedLanguageModelling(Task):
    """Masked language modelling: foretell words of plain texts that are hidden from an encoder."""

    roles: ClassVar[tuple[Role, ...]] = ROLES

    type: Literal["masked_language_modelling"] = "masked_language_modelling"
    pooling: Literal["model"] = "model"
    """Not applicable: the model's own output layer reads every hidden token."""
    mlm_probability: float = Field(default=0.15, gt=0, lt=1)
    """The share of a text's tokens that is to be foretold. 80% of them are replaced by the mask,
    10% by another token, and 10% stay; they are drawn anew in each epoch."""
    whole_word_mask: bool = True
    """Whole-word masking: all pieces of a word are hidden together. A word is a character where the
    script puts no spaces between words, as in Chinese."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Maximum tokens per row, special tokens included; longer texts are split into rows. auto: the
    model's limit, at most 512."""

    @model_validator(mode="after")
    def _has_room(self) -> MaskedLanguageModelling:
        if self.max_length != "auto" and self.max_length < 4:
            raise conflict(
                "task.max_length_too_small",
                "'task.max_length' leaves no room for {unit}",
                "use 16 or more",
                unit="words",
            )
        return self

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> MaskedLanguageModellingProblem | None:
        if is_smoothed(label_smoothing, faults):
            return None
        data.facts.task = {"problem": self.type}
        return MaskedLanguageModellingProblem(self)

    @classmethod
    def restore(cls, memory: Mapping[str, object]) -> MaskedLanguageModellingProblem:
        return MaskedLanguageModellingProblem(cls.model_validate(memory["config"]))
