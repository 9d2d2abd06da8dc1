"""Prompts of a generator: as token ids, and as the text that reward models read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from welltuned.data.records import Records
from welltuned.errors import Fault, InputError
from welltuned.rlhf.rewards import Columns
from welltuned.tasks import Prompter

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompts:
    """N prompts."""

    ids: list[list[int]]
    """Their tokens, special ones included, as the model reads them."""
    texts: list[str]
    """What a person asked: no template, no special tokens."""
    cut: int = 0
    """How many were too long and lost their beginning."""
    columns: Columns = field(default_factory=dict)
    """Cells of the rows that they come from, which rewards read: for each column N."""

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> Prompts:
        columns = taken(self.columns, indices)
        ids, texts = [self.ids[i] for i in indices], [self.texts[i] for i in indices]
        return Prompts(ids, texts, columns=columns)


def taken(columns: Columns, indices: Sequence[int]) -> dict[str, list[object]]:
    """The cells of some prompts, in that order."""
    return {name: [cells[i] for i in indices] for name, cells in columns.items()}


def prompts_of(
    prompter: Prompter,
    tokenizer: PreTrainedTokenizerBase,
    records: Records,
    room: int,
    beginning: int,
) -> Prompts:
    """The prompts of some records, each of at most `room` tokens.

    A plain text without a prompt gives its first `beginning` tokens. Raises `InputError`
    when a prompt has no token at all: there is nothing to go on from.
    """
    found = [prompter.prompt(tokenizer, records, i, beginning) for i in range(len(records))]
    for index, (ids, _) in enumerate(found):
        if not ids:
            raise InputError(
                Fault(
                    "rlhf.prompt_empty",
                    "the prompt has no tokens, and the tokenizer adds none in front",
                    records.place(index),
                    "write a prompt, or remove the row",
                )
            )
    cut = sum(len(ids) > room for ids, _ in found)
    return Prompts([ids[-room:] for ids, _ in found], [text for _, text in found], cut)


def room_for(max_length: int, response_length: int) -> int:
    """Tokens left for a prompt. Raises `InputError` when there are none."""
    room = max_length - response_length
    if room < 1:
        raise InputError(
            Fault(
                "rlhf.response_length_too_large",
                "'rl.response_length' is {response_length}, but the model was tuned for "
                "{max_length} tokens, prompt included",
                None,
                "choose less than {max_length}, or raise task.max_length",
                response_length=response_length,
                max_length=max_length,
            )
        )
    return room


def left_padded(
    rows: Sequence[Sequence[int]], pad_id: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids and mask (B, Q), the padding on the left, where generation needs it."""
    width = max(len(row) for row in rows)
    ids = [[pad_id] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return ids, mask


def responses_of(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    said: Sequence[Sequence[int]],
) -> list[str]:
    """Responses as text that continues the prompts, a first space included.

    Decoded alone, many tokenizers would lose it.
    """
    responses = []
    for prompt, tokens in zip(prompts, said, strict=True):
        before = str(tokenizer.decode(list(prompt), skip_special_tokens=True))
        whole = str(tokenizer.decode([*prompt, *tokens], skip_special_tokens=True))
        alone = str(tokenizer.decode(list(tokens), skip_special_tokens=True))
        responses.append(whole[len(before) :] if whole.startswith(before) else alone)
    return responses
