"""Vocabulary extension: words of some texts that a tokenizer takes apart become tokens.

A word is worth as many tokens as it saves: how often it occurs, times its pieces but one. The
embedding of a new token begins as the mean of those of its pieces, so that the model reads at
first much as it did (Hewitt 2021, "Initializing new word embeddings").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken

from welltuned.data.tokens.text_units import UNIT, is_unspaced
from welltuned.data.tokens.word_alignment import require_offsets

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SPACES = "\u0120\u2581"
"""How byte-level and SentencePiece tokenizers write the space before a word."""
_RARE = 5
"""Words that occur less often than this teach a new embedding nothing."""


@dataclass(frozen=True)
class NewToken:
    """A word to add."""

    word: str
    pieces: tuple[int, ...]
    """The tokens that it was read as."""
    saves: int
    """Tokens that the texts have less of with it."""


def find_new_tokens(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], most: int
) -> list[NewToken]:
    """The words that save most tokens, at most so many. Raises `InputError` for a slow tokenizer.

    Characters that the tokenizer does not know at all count as two pieces.
    """
    require_offsets(tokenizer)
    counts = Counter(
        unit
        for text in texts
        for unit in UNIT.findall(_normalised(tokenizer, text))
        if any(map(str.isalpha, unit))
    )
    common = [(word, number) for word, number in counts.items() if number >= _RARE]
    found = [_as_token(tokenizer, word, number) for word, number in common]
    worth = [token for token in found if token.saves > 0]
    return sorted(worth, key=lambda token: (-token.saves, token.word))[:most]


def _normalised(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """As the tokenizer sees it, such as in lower case."""
    backend: Any = tokenizer
    normalizer = backend.backend_tokenizer.normalizer
    return text if normalizer is None else normalizer.normalize_str(text)


def _as_token(tokenizer: PreTrainedTokenizerBase, word: str, number: int) -> NewToken:
    asked = word if is_unspaced(word) else f" {word}"  # as it stands within a text
    pieces = tuple(tokenizer(asked, add_special_tokens=False)["input_ids"])
    unknown = tokenizer.unk_token_id in pieces
    return NewToken(word, pieces, number * (max(len(pieces), 1 + unknown) - 1))


def add_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new: Sequence[NewToken]
) -> None:
    """Give the tokenizer the words, and the model an embedding for each."""
    takes_space = _marks_spaces(tokenizer)
    tokenizer.add_tokens([_added(token.word, takes_space) for token in new])
    rows: Any = tokenizer.convert_tokens_to_ids([token.word for token in new])
    embeddings: Any = model.get_input_embeddings()
    if max(rows, default=0) >= len(embeddings.weight):
        model.resize_token_embeddings(max(rows) + 1, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        for weight in (getattr(layer, "weight", None), getattr(layer, "bias", None)):
            if weight is not None:
                _fill(weight.data, rows, new)


def _marks_spaces(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the space before a word is a part of its first token."""
    return any(token[0] in _SPACES for token in tokenizer.tokenize("a b"))


def _added(word: str, takes_space: bool) -> AddedToken:
    whole = not is_unspaced(word)
    return AddedToken(word, single_word=whole, lstrip=takes_space and whole, normalized=True)


def _fill(weight: Any, rows: Sequence[int], new: Sequence[NewToken]) -> None:
    for row, token in zip(rows, new, strict=True):
        weight[row] = weight[list(token.pieces)].float().mean(dim=0).to(weight.dtype)
