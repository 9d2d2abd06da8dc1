"""Texts as token ids of at most so many, and which of them lost some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from welltuned.data.tokens import special_tokens

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@dataclass(frozen=True)
class CutTexts:
    """N texts as tokens."""

    ids: list[list[int]]
    type_ids: list[list[int]] | None
    """Which of two texts a token belongs to, for tokenizers that tell them apart."""
    cut: list[bool]
    """Whether a text lost tokens (N)."""


def tokenise_and_cut(
    tokenizer: PreTrainedTokenizerBase,
    texts: list[str],
    pairs: list[str] | None,
    max_length: int,
) -> CutTexts:
    """Texts (or pairs of texts) with special tokens; pairs lose tokens from the longer text first.

    A tokenizer's own call also keeps where in its text each token stands. Where it does nothing
    else with what its backend finds, the backend is asked for the ids alone, in half to two thirds
    of the time.
    """
    options = {"truncation": True, "max_length": max_length, "return_overflowing_tokens": False}
    if not _is_its_backend(tokenizer):
        batch = special_tokens.tokenise(tokenizer, texts, pairs, **options)
        cut = were_cut(tokenizer, batch, texts, pairs, max_length)
        return CutTexts(batch["input_ids"], batch.get("token_type_ids"), cut)
    first = special_tokens.tokenise(tokenizer, texts[:1], pairs and pairs[:1], **options)
    # The backend is set up by that call, and stays so.
    rows = texts if pairs is None else list(zip(texts, pairs, strict=True))
    found = tokenizer.backend_tokenizer.encode_batch_fast(rows)
    types = [one.type_ids for one in found] if "token_type_ids" in first else None
    return CutTexts([one.ids for one in found], types, _lost_some(found, max_length))


def were_cut(
    tokenizer: PreTrainedTokenizerBase,
    batch: BatchEncoding,
    texts: list[str],
    pairs: list[str] | None,
    max_length: int,
) -> list[bool]:
    """Whether each text of a batch lost tokens.

    A backend tells what was left over. Where there is none, texts that fill `max_length`, which
    alone can have lost some, are counted again without a limit.
    """
    if batch.encodings is not None:
        return _lost_some(batch.encodings, max_length)
    cut = [False] * len(texts)
    full = [i for i, row in enumerate(batch["input_ids"]) if len(row) >= max_length]
    if full:
        again = special_tokens.tokenise(
            tokenizer,
            [texts[i] for i in full],
            [pairs[i] for i in full] if pairs is not None else None,
            truncation=False,
            verbose=False,
        )
        for i, row in zip(full, again["input_ids"], strict=True):
            cut[i] = len(row) > max_length
    return cut


def _lost_some(encodings: Sequence[Any], max_length: int) -> list[bool]:
    return [len(one) >= max_length and bool(one.overflowing) for one in encodings]


def _is_its_backend(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether texts are encoded as the library does it for every tokenizer with a backend."""
    from transformers import PreTrainedTokenizerFast

    own, usual = type(tokenizer), PreTrainedTokenizerFast
    return issubclass(own, usual) and all(
        getattr(own, name) is getattr(usual, name)
        for name in ("__call__", "_encode_plus", "_convert_encoding")
    )
