"""Word alignment: token ids of pre-split words, and which tokens belong to which word.

The words are joined by spaces and tokenised as running text; character offsets tell
which token belongs to which word. So every tokenizer reads what it was trained on:
handed the words one by one, those that mark a word by the space before it (RoBERTa,
GPT-2, Llama) would see them all run together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.data.tokens import special_tokens
from welltuned.data.tokens.cutting import were_cut
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHUNK = 1000

NONE = -1
"""Where there is no word for a token, or no token for a word."""


@dataclass(frozen=True)
class TokenisedWords:
    """N sentences as tokens."""

    ids: list[list[int]]
    words: list[np.ndarray]
    """For each token the number of its word (T); `NONE` for special tokens."""
    truncated: list[bool]


def tokenise_words(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[Sequence[str]],
    max_length: int | None,
    progress: Callable[[int], None] = lambda done: None,
) -> TokenisedWords:
    """Tokenise with special tokens, cut to `max_length` if there is one.

    `progress` hears how many are done.

    Raises `InputError` for a tokenizer that cannot tell where its tokens come from.
    """
    require_offsets(tokenizer)
    found = TokenisedWords([], [], [])
    limit: dict[str, int] = {"truncation": False, "verbose": False}
    if max_length is not None:
        limit = {"truncation": True, "max_length": max_length}
    for start in range(0, len(sentences), _CHUNK):
        part = sentences[start : start + _CHUNK]
        texts = [" ".join(words) for words in part]
        batch: Any = special_tokens.tokenise(tokenizer, texts, return_offsets_mapping=True, **limit)
        for words, ids, offsets in zip(
            part, batch["input_ids"], batch["offset_mapping"], strict=True
        ):
            words_T = _words_of_tokens(np.array(offsets).reshape(-1, 2), words)
            found.ids.append(ids or [tokenizer.pad_token_id])  # a row needs a token
            found.words.append(words_T if ids else np.array([NONE]))
        if max_length is None:
            found.truncated.extend([False] * len(texts))
        else:
            found.truncated.extend(were_cut(tokenizer, batch, texts, None, max_length))
        progress(start + len(part))
    return found


def require_offsets(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `InputError` for a tokenizer that cannot tell where its tokens come from."""
    if not tokenizer.is_fast:
        raise InputError(
            Fault(
                "tokenizer.not_fast",
                "{tokenizer} is a slow tokenizer: it gives no offsets of tokens in the text",
                None,
                "use a model with a tokenizer.json",
                tokenizer=type(tokenizer).__name__,
            )
        )


def _words_of_tokens(offsets_T2: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """The word of each token (T), by their places in the joined text.

    A token that covers several words counts for the first of them.
    """
    lengths = np.array([len(word) for word in words])
    starts = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])
    stops = starts + lengths
    word_T = np.searchsorted(stops, offsets_T2[:, 0], side="right").clip(max=len(words) - 1)
    touches = (starts[word_T] < offsets_T2[:, 1]) & (offsets_T2[:, 0] < stops[word_T])
    real = np.flatnonzero(touches)
    if len(real) > 1 and (offsets_T2[real[0]] == offsets_T2[real[1]]).all():
        touches[real[0]] = False  # SentencePiece's mark of a word's beginning, and nothing more
    return np.where(touches, word_T, NONE)


def first_tokens(words_T: np.ndarray, number: int) -> np.ndarray:
    """The place of each word's first token (W, for W = `number` words); `NONE` without one."""
    first_W = np.full(number, NONE)
    places = np.flatnonzero(words_T != NONE)[::-1]
    first_W[words_T[places]] = places  # written from the back: the first token comes last
    return first_W
