"""A response is neither too short nor too long.

Outside the bounds the reward may fall step by step, as the soft punishment of overlong answers in
DAPO does (Yu et al. 2025, arXiv 2503.14476).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.errors import Fault, InputError
from welltuned.metrics.text import words
from welltuned.rlhf.rewards.base import Check, Columns, Score
from welltuned.schema.part import conflict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Length(Check):
    """1 where a response is as long as it shall be, less or nothing where it is not."""

    stands_with: ClassVar[Mapping[str, str]] = {"at_most": "80"}

    type: Literal["length"] = "length"
    unit: Literal["words", "characters", "tokens"] = "words"
    """What is counted: words (single characters where a script has no spaces), characters without
    white space around them, or tokens of the policy."""
    at_least: int = Field(default=0, ge=0, examples=[20])
    """The shortest response that has the whole reward."""
    at_most: int | None = Field(default=None, ge=0, examples=[80])
    """The longest one."""
    margin: int = Field(default=0, ge=0, examples=[10])
    """How far beyond either bound the reward is down to 0; it falls evenly on the way."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Length:
        if not self.at_least and self.at_most is None:
            raise conflict(
                "rlhf.length_unbounded", "'length' has no bound", "give at_least, at_most, or both"
            )
        if self.at_most is not None and self.at_most < self.at_least:
            raise conflict(
                "rlhf.length_empty",
                "no response is at least {at_least} and at most {at_most} {unit} long",
                "make at_most the larger one",
                at_least=self.at_least,
                at_most=self.at_most,
                unit=self.unit,
            )
        return self

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        return self._worth(self._counted(response, None))

    def scorer(self, tokenizer: PreTrainedTokenizerBase | None) -> Score:
        if self.unit == "tokens" and tokenizer is None:
            raise InputError(
                Fault(
                    "rlhf.length_without_tokenizer",
                    "'length' counts tokens, and no tokenizer is known",
                    None,
                    "give the policy's tokenizer, or count words",
                )
            )
        return partial(self._scores, partial(self._counted, tokenizer=tokenizer))

    def _scores(
        self,
        count: Callable[[str], int],
        prompts: list[str],
        responses: list[str],
        columns: Columns | None = None,
    ) -> list[float]:
        return [self._worth(count(response)) for response in responses]

    def _counted(self, response: str, tokenizer: PreTrainedTokenizerBase | None) -> int:
        if self.unit == "words":
            return len(words(response))
        if self.unit == "characters":
            return len(response.strip())
        assert tokenizer is not None, "refused before"
        encoded: Any = tokenizer(response, add_special_tokens=False)
        return len(encoded["input_ids"])

    def _worth(self, length: int) -> float:
        beyond = max(self.at_least - length, 0)
        if self.at_most is not None:
            beyond = max(beyond, length - self.at_most)
        if beyond == 0:
            return 1.0
        return 1 - beyond / self.margin if beyond < self.margin else 0.0
