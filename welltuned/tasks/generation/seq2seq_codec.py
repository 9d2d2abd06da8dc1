"""Prompts and responses as an encoder-decoder reads them: each a text of its own.

A row holds the prompt's tokens and then the response's, and only these are labelled; `collate`
parts them again. So lengths, caches and what people are shown are those of any generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.data.layouts.message_parsing import is_learned
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED, Encoded, encode_texts, pad
from welltuned.data.tokens.special_tokens import tokenise_targets
from welltuned.errors import Fault, InputError
from welltuned.schema.messages import Message
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation.codec import ConversationCodec, Style

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OF_TOOLS = {"tool_calls", "tools", "tool_call_id"}
_CHUNK = 1000


@dataclass(frozen=True)
class Seq2SeqCodec(ConversationCodec):
    """Targets (N) are how many tokens of each response are learned."""

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """No template is needed: nothing tells prompt and response apart but their places."""
        return None

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        """Prompt and response each lose their end beyond `max_length`.

        A record without a prompt, or without a response, is left out.
        """
        _require_prompts(self.style, records)
        asked = _pairs(self.style, records, self.config.train_on == "last")

        def heard(done: int) -> None:
            progress(min(done, len(records)))  # of a conversation there may be several

        prompts = _encode_prompts(tokenizer, asked.prompts, max_length, heard)
        responses = _encode_responses(tokenizer, asked.responses, max_length)
        labels = [
            np.concatenate([np.full(length, IGNORED), responses[i]])
            for i, length in enumerate(prompts.lengths)
        ]
        encoded = Encoded.of(
            [np.concatenate([prompts[i], responses[i]]) for i in range(len(prompts))],
            list(prompts.truncated | responses.truncated),
            labels=labels,
        )
        return Examples(encoded, responses.lengths, asked.records)

    def pack(self, examples: Examples, max_length: int) -> Examples:
        return examples

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """`input_ids`, `attention_mask` (B, S) of prompts, and `labels` (B, T) of responses."""
        prompts, responses = _parted(examples.encoded.take(indices))
        every = range(len(indices))
        batch = pad(prompts, every, pad_id)
        return {**batch, "labels": pad(responses, every, IGNORED)["input_ids"]}

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return []


@dataclass(frozen=True)
class _Pairs:
    """Prompts, their responses, and the records that end with these."""

    prompts: list[str]
    responses: list[str]
    records: Records


def _pairs(style: Style, records: Records, last: bool) -> _Pairs:
    """What is asked and what is answered; of a conversation each answer, or its last one."""
    read = _plain_pairs if style == "plain" else _turn_pairs
    found = [(i, *pair) for i in range(len(records)) for pair in read(records, i, last)]
    taken = records.take([i for i, *_ in found])
    if style == "chat":
        turns = [turns for *_, turns in found]
        taken = replace(taken, columns={**taken.columns, "messages": turns})
    return _Pairs([prompt for _, prompt, *_ in found], [said for _, _, said, _ in found], taken)


def _plain_pairs(records: Records, index: int, last: bool) -> Iterator[tuple[str, str, None]]:
    prompt, completion = records["prompt"][index], records["completion"][index]
    if prompt and completion:
        yield prompt, completion.strip(), None


def _turn_pairs(
    records: Records, index: int, last: bool
) -> Iterator[tuple[str, str, Sequence[Mapping[str, str]]]]:
    turns = records["messages"][index]
    answers = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
    for i in answers[-1:] if last else answers:
        if i and is_learned(turns[i]):
            yield turns_as_text(turns[:i]), turns[i]["content"], turns[: i + 1]


def turns_as_text(turns: Sequence[Mapping[str, str]]) -> str:
    """A single turn as it stands; of several each on a line of its own, behind who said it."""
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def asked_text(style: Style, records: Records, index: int) -> str:
    """The text to answer: everything before the last answer."""
    if style == "plain":
        return str(records["prompt"][index] or records["text"][index] or "")
    turns = records["messages"][index]
    answered = len(turns) > 1 and turns[-1]["role"] == "assistant"
    return turns_as_text(turns[:-1] if answered else turns)


def _require_prompts(style: Style, records: Records) -> None:
    """Raise `InputError` for data that have no form for an encoder-decoder."""
    if len(records) and style == "plain" and not any(records["prompt"]):
        raise InputError(
            Fault(
                "task.prompt_needed",
                "an encoder-decoder reads a prompt and writes a response, and these texts have no "
                "prompt",
                records.place(0),
                "give prompt and completion, or messages; or use a decoder such as Llama",
            )
        )
    for i, turns in enumerate(records["messages"] if style == "chat" else ()):
        if any(turn["role"] == "tool" or _OF_TOOLS & turn.keys() for turn in turns):
            raise InputError(
                Fault(
                    "task.tools_unsupported",
                    "a conversation uses tools, which an encoder-decoder has no chat template for",
                    records.place(i),
                    "leave such conversations out, or use a decoder such as Llama",
                )
            )


def _encode_prompts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    progress: Callable[[int], None],
) -> Encoded:
    if not texts:
        return Encoded.of([], [])
    return encode_texts(tokenizer, texts, None, max_length, progress)


def _encode_responses(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> Encoded:
    """Responses with the marks that the tokenizer gives a text to be written, such as its end.

    One that is too long loses it too, so that nobody learns to stop in the middle.
    """
    rows: list[Any] = []
    for start in range(0, len(texts), _CHUNK):
        rows += tokenise_targets(tokenizer, list(texts[start : start + _CHUNK]))
    cut = [len(row) > max_length for row in rows]
    return Encoded.of([row[:max_length] for row in rows], cut)


def _parted(rows: Encoded) -> tuple[Encoded, Encoded]:
    """Prompts and responses."""
    assert rows.labels is not None
    starts = rows.offsets[1:-1]
    ids, labels = np.split(rows.ids, starts), np.split(rows.labels, starts)
    pairs = list(zip(ids, (row != IGNORED for row in labels), strict=True))
    cut = list(rows.truncated)
    return (
        Encoded.of([row[~said] for row, said in pairs], cut),
        Encoded.of([row[said] for row, said in pairs], cut),
    )
