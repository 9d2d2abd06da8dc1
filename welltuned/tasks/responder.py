"""The part of a problem that answers in free text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from welltuned.data.records import Records
from welltuned.metrics import Scores

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


ScoredExamples = Annotated[int, Field(ge=0)] | Literal["auto"]
"""How many test examples are answered: the first so many, or as many as there is time for."""


class Responder(ABC):
    """Free text in answer to records."""

    @property
    @abstractmethod
    def number(self) -> ScoredExamples:
        """How many test examples are answered."""

    @property
    @abstractmethod
    def max_new_tokens(self) -> int:
        """How many tokens an answer has at most."""

    @abstractmethod
    def decoding_as(self, **changes: float) -> Responder:
        """The same with other parameters of decoding, such as `max_new_tokens` or `temperature`."""

    @abstractmethod
    def reads_turns(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether a conversation is read whole, and not its last message alone."""

    @property
    def imported_metrics(self) -> tuple[str, ...]:
        """The import paths of metrics that are not ours, and that `score` calls."""
        return ()

    @abstractmethod
    def respond(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        batch_size: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[str]:
        """One answer a record, in order; `progress` hears how many there are.

        At once are answered `batch_size` records of `max_length` tokens, or more of shorter ones.
        """

    @abstractmethod
    def cut(self, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int) -> np.ndarray:
        """Which questions are too long to be read whole (N)."""

    @abstractmethod
    def prompt_lengths(self, tokenizer: PreTrainedTokenizerBase, records: Records) -> np.ndarray:
        """The tokens of each question, uncut (N)."""

    @abstractmethod
    def answer_length(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, records: Records, limit: int
    ) -> int | None:
        """The tokens of the likeliest answer to the first record; None where it does not end."""

    @abstractmethod
    def settle(self, model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write into the model where answers end, so that plain libraries end them there too."""

    @abstractmethod
    def stream(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        given: object,
        max_length: int,
        say: Callable[[str], object],
    ) -> str:
        """Answer one text or list of messages, handing on each piece of text as it comes."""

    def score(self, responses: Sequence[str], records: Records, intervals: bool = False) -> Scores:
        """Scores of free text against the records' own answers."""
        return {}
