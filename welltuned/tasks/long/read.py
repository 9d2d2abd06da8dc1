"""Texts as the rows of tokens that are read of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.tokens import special_tokens
from welltuned.data.tokens.encoding import Encoded, encode_texts
from welltuned.data.tokens.windows import FIXED, WindowIndex, is_short_of
from welltuned.errors import Fault, InputError
from welltuned.tasks.long.base import LongTexts

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_CHUNK = 100
"""Texts that are tokenised at a time; long ones take memory."""


def read_texts(
    long: LongTexts,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    max_length: int,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Encoded, WindowIndex | None]:
    """As `encode_texts`, but for texts longer than `max_length`; and which rows are whose.

    Raises `InputError` for a tokenizer that does not say which text its tokens belong to.
    """
    if long.reads_plainly:
        return encode_texts(tokenizer, texts, pairs, max_length, progress), None
    require_parts(tokenizer)
    ids: list[np.ndarray] = []
    types: list[np.ndarray] = []
    truncated: list[bool] = []
    numbers: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        stop = min(start + _CHUNK, len(texts))
        second = None if pairs is None else list(pairs[start:stop])
        batch = special_tokens.tokenise(
            tokenizer, list(texts[start:stop]), second, truncation=False, verbose=False
        )
        for i, row in enumerate(batch["input_ids"]):
            kept = long.cut(parts_of(batch, i), max_length)
            ids += _rows(row, kept, np.int32)
            if "token_type_ids" in batch:
                types += _rows(batch["token_type_ids"][i], kept, np.int8)
            truncated += [is_short_of(kept, len(row))] * len(kept)
            numbers.append(len(kept))
        progress(stop)
    told_apart = types if any(row.any() for row in types) else None
    return Encoded.of(ids, truncated, type_ids=told_apart), long.index(numbers)


def _rows(
    track: Sequence[int], kept: Sequence[np.ndarray], dtype: type[np.generic]
) -> list[np.ndarray]:
    track_T = np.asarray(track, dtype=dtype)
    return [track_T[places] for places in kept]


def parts_of(batch: BatchEncoding, index: int) -> np.ndarray:
    """The text that each token of a row belongs to (T): 0 or 1, and `FIXED` for special tokens."""
    numbers = batch.sequence_ids(index)
    return np.array([FIXED if number is None else number for number in numbers], dtype=np.int8)


def require_parts(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `InputError` for a tokenizer that does not say which text its tokens belong to."""
    if not tokenizer.is_fast:
        raise InputError(
            Fault(
                "task.tokenizer_without_sequence_ids",
                "{tokenizer} does not report which text its tokens belong to",
                None,
                "use a model with a tokenizer.json",
                tokenizer=type(tokenizer).__name__,
            )
        )
