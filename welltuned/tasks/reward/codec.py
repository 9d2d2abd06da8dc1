"""Prompts with judged responses, as a reward model reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.layouts import preferences
from welltuned.data.layouts.message_parsing import is_conversation
from welltuned.data.layouts.preference_rows import prompt_text
from welltuned.data.layouts.preferences import RECORD_ROLES
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.schema.messages import Message
from welltuned.tasks import pairs, responses
from welltuned.tasks.examples import Examples
from welltuned.tasks.grouped import Grouped, collate
from welltuned.tasks.long import TRUNCATE, LongTexts
from welltuned.tasks.parts import Codec
from welltuned.tasks.responses import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_JOINT = "\n"


@dataclass(frozen=True)
class JudgedCodec(Codec):
    """Targets are what is known of each prompt's responses: N times `ResponseTarget`."""

    by_itself: bool
    """Whether texts are judged without a prompt."""
    form: Form
    long: LongTexts = TRUNCATE

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES
    expects: ClassVar[str] = "a tuple of prompt and response; a text for models without prompts"

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """As the task does, but responses without judgements will do."""
        converted = preferences.convert_preferences(table, columns, faults, answers=False)
        if len(converted) and not self.by_itself and converted.columns["prompt"][0] is None:
            faults.add(
                "task.prompt_column_missing",
                "no column was found for prompt, and responses are judged with their prompts",
                Place(table.source, 1),
                "add data.columns.prompt=NAME; the file has: {columns}",
                columns=", ".join(table.columns),
            )
        return converted

    def accepts(self, given: object) -> bool:
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            return isinstance(given, str)
        prompt, response = given
        asked = isinstance(prompt, str) or is_conversation(prompt)
        return asked and isinstance(response, str)

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Pairs of a prompt (a text or a list of messages) and a response; or texts."""
        given = [(None, one) if isinstance(one, str) else tuple(one) for one in inputs]
        if not self.by_itself and any(prompt is None for prompt, _ in given):
            raise InputError(
                Fault(
                    "task.prompt_missing",
                    "responses are judged with their prompts, and a prompt is missing",
                    None,
                    "give tuples of prompt and response; on the command line, --pair with a tab "
                    "between, or --jsonl with the keys prompt and response",
                )
            )
        asked = [None if prompt is None else prompt_text(prompt) for prompt, _ in given]
        columns: dict[str, Sequence[Any]] = {
            "text": [said for _, said in given],
            "prompt": asked,
            "messages": [None if isinstance(prompt, str) else prompt for prompt, _ in given],
            "responses": [[said] for _, said in given],
        }
        return Records("texts", columns, list(range(1, len(given) + 1)), ("text",))

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return pairs.read(records, faults)

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        responses.fit_tokenizer(tokenizer, self.form)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Grouped:
        """One row a response."""
        records = _joined(records) if self.by_itself else records
        return responses.encode_responses(
            tokenizer, records, max_length, self.form, _JOINT, progress=progress, long=self.long
        )

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        return collate(examples, indices, pad_id)

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return pairs.notes(examples, split)


def _joined(records: Records) -> Records:
    """Prompt and response as one text, for models that judge texts by themselves."""
    joined = [
        ["".join(responses.touching(prompt or "", said, _JOINT)) for said in group]
        for prompt, group in zip(records["prompt"], records["responses"], strict=True)
    ]
    nothing: list[Any] = [None] * len(joined)
    changed = {"prompt": nothing, "messages": nothing, "responses": joined}
    return Records(
        records.source, {**records.columns, **changed}, records.lines, records.input_roles
    )
