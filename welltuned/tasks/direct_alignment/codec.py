"""Judged answers as a language model reads them, and the same as generation reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.layouts.preferences import RECORD_ROLES
from welltuned.data.records import Records, Role
from welltuned.tasks import responses
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation.codec import ConversationCodec
from welltuned.tasks.grouped import Grouped, collate
from welltuned.tasks.parts import Codec
from welltuned.tasks.responses import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class AlignmentCodec(Codec):
    """One row a response, its tokens labelled. Targets are N times `ResponseTarget`."""

    form: Form
    plain: ConversationCodec
    """How what the tuned model is for is read."""
    needs_reference: bool = True
    """Whether batches hold what the untuned model makes of each response."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES

    expects: ClassVar[str] = ConversationCodec.expects

    def accepts(self, given: object) -> bool:
        return self.plain.accepts(given)

    def records_of(self, inputs: Sequence[object]) -> Records:
        return self.plain.records_of(inputs)

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        responses.fit_tokenizer(tokenizer, self.form)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Grouped:
        return responses.encode_responses(
            tokenizer, records, max_length, self.form, learned=True, progress=progress
        )

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """`reference` (R), where it is needed: the untuned model's log-probabilities.

        Not numbers while they are not known, so that nothing is learned by mistake.
        """
        assert isinstance(examples, Grouped)
        batch = collate(examples, indices, pad_id)
        if not self.needs_reference:
            return batch
        return {**batch, "reference": examples.references_M[examples.rows_of(indices)]}


def answered(records: Records, style: str, limit: int | None = None) -> Records:
    """Prompts with one response each, a preferred one where they were compared, for generation.

    With a limit, only the last characters of a prompt and the first of a response.
    """
    columns: dict[str, list[Any]] = {"text": [], "messages": [], "prompt": [], "completion": []}
    for i, said in enumerate(records["responses"]):
        turns, prompt = responses.conversation(records, i), records["prompt"][i]
        pairs = records["pairs"][i] if "pairs" in records else ()
        answer = said[pairs[0].winner if pairs else 0][:limit]
        if limit is not None:
            prompt = prompt[-limit:]
            turns = [{"role": "user", "content": prompt}]
        whole = [*turns, {"role": "assistant", "content": answer}]
        row = (prompt, whole if style == "chat" else None, prompt, answer)
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
    return Records(records.source, dict(columns), records.lines, ("text",))
