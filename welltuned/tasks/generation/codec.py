"""Conversations and texts as a language model reads them, and which tokens are learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from welltuned.data.layouts import conversations
from welltuned.data.layouts.message_parsing import is_conversation, is_learned, tidy_turns
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.data.tokens.encoding import pad
from welltuned.errors import Faults
from welltuned.schema.messages import Message
from welltuned.tasks import chat
from welltuned.tasks.examples import Examples
from welltuned.tasks.parts import Codec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.tasks.generation.config import Generation

ROLES: tuple[Role, ...] = (
    Role("text", ("text",), is_input=True),
    Role("messages", ("messages",), required=False),
    Role("prompt", ("prompt",), required=False),
    Role("completion", ("completion",), required=False),
    Role("id", ("id",), required=False),
    Role("group", ("group",), required=False),
)

Style = Literal["chat", "plain"]
"""Whether examples go through the tokenizer's chat template, or stand as they are."""


@dataclass(frozen=True)
class ConversationCodec(Codec):
    """Targets (N) are how many tokens of each example are learned."""

    config: Generation
    style: Style

    roles: ClassVar[tuple[Role, ...]] = ROLES
    expects: ClassVar[str] = (
        'a text, or a list of messages such as {"role": "user", "content": "…"}'
    )

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """As the task does, but questions without answers will do."""
        return conversations.convert_conversations(
            table, columns, faults, self.config.format, answers=False
        )

    def accepts(self, given: object) -> bool:
        return isinstance(given, str) or is_conversation(given)

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Texts, or lists of messages, as questions without answers."""
        number = len(inputs)
        messages = [
            [{"role": "user", "content": given}] if isinstance(given, str) else tidy_turns(given)
            for given in inputs
        ]
        plain = self.style == "plain"
        columns: dict[str, Sequence[Any]] = {
            "text": [turns[-1]["content"] for turns in messages],
            "messages": [None] * number if plain else messages,
            "prompt": [turns[-1]["content"] for turns in messages] if plain else [None] * number,
            "completion": [None] * number,
        }
        return Records("texts", columns, list(range(1, number + 1)), ("text",))

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """Not known before texts are tokens."""
        return np.zeros(len(records), dtype=np.int64)

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if self.style == "chat":
            chat.ensure_template(tokenizer)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        """Targets (N): how many tokens of each example are learned.

        An example without any, such as one whose prompt fills `max_length`, is left out.
        """
        self.fit_tokenizer(tokenizer)
        read = records
        rendered = [self._render(tokenizer, records, i) for i in range(len(records))]
        splits = self._splits_texts(records)
        encoded = chat.tokenise_chat(
            tokenizer, rendered, chat.UNLIMITED if splits else max_length, progress
        )
        if splits:
            encoded, texts = chat.windows(encoded, max_length)
            records = records.take(texts)
        trained = chat.trained_tokens(encoded)
        kept = np.flatnonzero(trained).tolist()
        said = self._findings(tokenizer, rendered, read)
        return Examples(encoded.take(kept), trained[kept], records.take(kept), said=said)

    def _findings(
        self, tokenizer: PreTrainedTokenizerBase, rendered: list[chat.Rendered], records: Records
    ) -> tuple[Message, ...]:
        asks = self.style == "chat" and self.config.train_on != "all"

        def ask(index: int) -> chat.Rendered:
            return question_of(tokenizer, self.style, records, index)

        return chat.findings(tokenizer, rendered, records.lines, ask if asks else None)

    def _splits_texts(self, records: Records) -> bool:
        """Only texts that go on by themselves: an answer without its question teaches nothing."""
        plain = self.style == "plain" and not any(records["prompt"])
        return plain and self.config.long_texts == "split"

    def _render(
        self, tokenizer: PreTrainedTokenizerBase, records: Records, index: int
    ) -> chat.Rendered:
        if self.style == "chat":
            turns, place = records["messages"][index], records.place(index)
            return chat.render_chat(tokenizer, turns, self.config.train_on, place)
        prompt, completion = records["prompt"][index], records["completion"][index]
        return chat.render_plain(tokenizer, prompt, completion, self.config.train_on)

    def pack(self, examples: Examples, max_length: int) -> Examples:
        if not self.config.packing:
            return examples
        encoded, packs = chat.pack(examples.encoded, max_length)
        records, targets = examples.records, examples.targets
        assert targets is not None
        columns: dict[str, Sequence[Any]] = {
            "text": ["\n".join(records["text"][i] for i in pack) for pack in packs],
            "id": [" + ".join(records.id(i) for i in pack) for pack in packs],
        }
        lines = [records.lines[pack[0]] for pack in packs]
        packed = Records(records.source, columns, lines, ("text",))
        return Examples(encoded, np.array([targets[pack].sum() for pack in packs]), packed)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        return pad(examples.encoded, indices, pad_id)

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return examples.split_texts(split)


def is_answered(style: Style, records: Records, index: int) -> bool:
    """Whether there is anything to answer: a text made up out of nothing has no right answer."""
    return style == "chat" or bool(records["prompt"][index])


def reference_of(style: Style, records: Records, index: int) -> str | None:
    """The example's own answer; None where it ends with a question, or with a turn not learned."""
    if style == "plain":
        completion = records["completion"][index]
        return None if completion is None else completion.strip()
    last = records["messages"][index][-1]
    if last["role"] != "assistant" or not is_learned(last):
        return None
    return as_reference(style, records, index, last["content"].strip())


def as_reference(style: Style, records: Records, index: int, answer: str) -> str:
    """An answer in the form of the example's own: calls of tools without what stands around them,
    which differs from template to template."""
    called = style == "chat" and "tool_calls" in records["messages"][index][-1]
    return (chat.calls_as_text(answer) if called else None) or answer


def question_of(
    tokenizer: PreTrainedTokenizerBase, style: Style, records: Records, index: int
) -> chat.Rendered:
    """The text to answer: everything before the last answer."""
    if style == "chat":
        return chat.prompt_of(tokenizer, records["messages"][index])[0]
    # A file of plain texts without answers holds beginnings to go on from.
    text = str(records["prompt"][index] or records["completion"][index] or "")
    return chat.prompt_of(tokenizer, text)[0]
