"""Special tokens that people write in their texts: `</s>`, `[SEP]`, `<|im_end|>`.

A tokenizer takes them for the tokens themselves, so that what a person quotes would end a turn or
part a text in two. Here they stay plain text, unless `model.special_tokens_in_text: tokens` says
otherwise; the choice travels with the tokenizer's files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from welltuned.data.facts import some_lines
from welltuned.data.records import Records
from welltuned.data.storage.on_disk import pieces_of
from welltuned.schema.messages import Message, message

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

Span = tuple[int, int]
"""Characters: from the first to, but not including, the second."""

_CONTROL = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)
"""How tokens look that some tokenizers use as marks of turns without calling them special."""
_NOT_SAID = {"id", "group", "label", "labels", "tags"}
_NAMED = 5


def stay_text(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether special tokens in texts are read as the text they are."""
    return tokenizer.init_kwargs.get("special_tokens_in_text") != "tokens"


def tokenise(
    tokenizer: PreTrainedTokenizerBase, *texts: list[str] | None, **options: bool | int
) -> BatchEncoding:
    """As the tokenizer itself does it, but no token comes of a special token written in a text.

    Nothing is padded, though a tokenizer file may ask for that.
    """
    given = {"padding": False, "return_attention_mask": False, **options}
    return tokenizer(*texts, split_special_tokens=stay_text(tokenizer), **given)


def tokenise_targets(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Texts to be written, with what the tokenizer puts around those: an end, or a language."""
    batch = tokenizer(
        text_target=texts,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        split_special_tokens=stay_text(tokenizer),
        verbose=False,
    )
    found: list[list[int]] = batch["input_ids"]
    return found


# --- Which they are ------------------------------------------------------------

_Known = tuple[int, dict[str, int], re.Pattern[str]]
_KNOWN: WeakKeyDictionary[PreTrainedTokenizerBase, _Known] = WeakKeyDictionary()


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, int]:
    """Every special token of a tokenizer as it is written, with its id."""
    return _known(tokenizer)[1]


def written_in(tokenizer: PreTrainedTokenizerBase, text: str) -> list[Span]:
    """Where special tokens are written in a text."""
    return [found.span() for found in _known(tokenizer)[2].finditer(text)]


def _known(tokenizer: PreTrainedTokenizerBase) -> _Known:
    known = _KNOWN.get(tokenizer)
    if known is None or known[0] != len(tokenizer):
        tokens = {
            added.content: number
            for number, added in tokenizer.added_tokens_decoder.items()
            if added.content and (added.special or _CONTROL.fullmatch(added.content))
        }
        longest_first = sorted(tokens, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        known = _KNOWN[tokenizer] = len(tokenizer), tokens, pattern
    return known


# --- What is told of them ------------------------------------------------------


def note_special_tokens(
    tokenizer: PreTrainedTokenizerBase, records: Records, split: str
) -> list[Message]:
    """How many records of a split have special tokens in their texts, and how they are read."""
    lines: list[int] = []
    names: Counter[str] = Counter()
    read = [cells for role, cells in records.columns.items() if role not in _NOT_SAID]
    written = _known(tokenizer)[2]
    for numbers, *columns in zip(*map(pieces_of, [records.lines, *read]), strict=True):
        if not written.search("\n".join(_strings(columns))):
            continue  # hardly any text has one
        for line, cells in zip(numbers, zip(*columns, strict=True), strict=True):
            found = {name for text in _strings(cells) for name in written.findall(text)}
            names.update(found)
            lines += [line] * bool(found)
    if not lines:
        return []
    values = {
        "split": split,
        "tokens": ", ".join(name for name, _ in names.most_common(_NAMED)),
        "number": len(lines),
        "lines": some_lines(lines),
    }
    return [_as_text(values) if stay_text(tokenizer) else _as_tokens(values)]


def _as_text(values: Mapping[str, object]) -> Message:
    return message(
        "data.special_tokens_as_text",
        "{split}: texts in which special tokens of the tokenizer are written ({tokens}), read as "
        "plain text: {number:,} (line {lines}). model.special_tokens_in_text=tokens reads them as "
        "the tokens themselves.",
        **values,
    )


def _as_tokens(values: Mapping[str, object]) -> Message:
    return message(
        "data.special_tokens_as_tokens",
        "{split}: texts in which special tokens of the tokenizer are written ({tokens}), read as "
        "the tokens themselves: {number:,} (line {lines}). model.special_tokens_in_text=text reads "
        "them as plain text.",
        **values,
    )


def _strings(cell: object) -> Iterator[str]:
    """Every text that stands in a cell, or in several."""
    if isinstance(cell, str):
        yield cell
    elif isinstance(cell, Mapping):
        yield from _strings(list(cell.values()))
    elif isinstance(cell, Sequence):
        for part in cell:
            yield from _strings(part)
