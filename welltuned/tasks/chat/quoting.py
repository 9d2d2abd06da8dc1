"""Special tokens that turns quote, told apart from those that a template writes.

While a template runs, each special token in what was said is replaced by a stand-in of the same
length; so all that it writes itself is meant, and places in the text stay what they are. A row
that quotes some is then tokenised by a twin of the tokenizer, which knows special tokens only by
marks that stand where they are meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from welltuned.data.tokens.special_tokens import Span, control_tokens, stay_text, written_in
from welltuned.tasks.chat.template import Messages

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedTokenizerBase

_SURROGATE = 0xD800
"""Stand-ins are letters of which no text that can be tokenised has any."""
_OURS = ("role", "weight")
"""Keys of turns that nobody said."""
_PRIVATE = 0xF0000
"""Marks are letters that stand for nothing in any script."""


@dataclass
class Quotes:
    """Stand-ins for the special tokens that one conversation quotes."""

    tokenizer: PreTrainedTokenizerBase
    letters: dict[str, str] = field(default_factory=dict)

    def hide(self, messages: Messages) -> Messages:
        """The turns with stand-ins; the same turns where they quote nothing."""
        if not stay_text(self.tokenizer):
            return messages
        return [
            {key: said if key in _OURS else self._hidden(said) for key, said in turn.items()}
            for turn in messages
        ]

    def _hidden(self, text: str) -> str:
        for start, end in written_in(self.tokenizer, text):
            token = text[start:end]
            letter = self.letters.setdefault(token, chr(_SURROGATE + len(self.letters)))
            text = text[:start] + letter * (end - start) + text[end:]
        return text

    def shown(self, text: str) -> str:
        """The text with what its stand-ins stand for."""
        for token, letter in self.letters.items():
            text = text.replace(letter * len(token), token)
        return text

    def meant(self, text: str) -> tuple[Span, ...] | None:
        """Where a text with stand-ins has special tokens; None where nothing is quoted."""
        return tuple(written_in(self.tokenizer, text)) if self.letters else None


# --- Tokens --------------------------------------------------------------------


class Track(NamedTuple):
    """One text as tokens (T): ids, characters that each stands for, and which were put around."""

    ids_T: np.ndarray
    offsets_T2: np.ndarray
    added_T: np.ndarray


class Twin(NamedTuple):
    """A tokenizer that reads special tokens as text, and marks as special tokens."""

    size: int
    backend: Tokenizer
    marks: dict[str, str]
    """By special token: the letter that its mark repeats."""
    meant: dict[int, int]
    """By the id of a mark: that of the token."""


_TWINS: WeakKeyDictionary[PreTrainedTokenizerBase, Twin] = WeakKeyDictionary()


def tokenise_quoting(
    tokenizer: PreTrainedTokenizerBase, text: str, meant: Sequence[Span], plain: bool
) -> Track:
    """A text in which only the special tokens at `meant` are tokens, and others text.

    `plain`: whether the tokenizer puts its own tokens around it.
    """
    twin = _twin_of(tokenizer)
    for start, end in meant:
        text = text[:start] + twin.marks[text[start:end]] * (end - start) + text[end:]
    found = twin.backend.encode(text, add_special_tokens=plain)
    ids = [twin.meant.get(number, number) for number in found.ids]
    tracks = ids, found.offsets, found.special_tokens_mask
    return Track(*(np.asarray(track, dtype=np.int64) for track in tracks))


def _twin_of(tokenizer: PreTrainedTokenizerBase) -> Twin:
    twin = _TWINS.get(tokenizer)
    if twin is None or twin.size != len(tokenizer):
        twin = _TWINS[tokenizer] = _make_twin(tokenizer)
    return twin


def _make_twin(tokenizer: PreTrainedTokenizerBase) -> Twin:
    from tokenizers import AddedToken, Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    tokens, known = control_tokens(tokenizer), tokenizer.added_tokens_decoder
    # What is called special here may have been an ordinary added token.
    backend.add_special_tokens([AddedToken(token, special=True) for token in tokens])
    backend.encode_special_tokens = True
    marks = dict(zip(tokens, map(chr, count(_PRIVATE)), strict=False))
    backend.add_tokens([_mark(known[tokens[token]], letter) for token, letter in marks.items()])
    numbers = backend.get_vocab(with_added_tokens=True)
    meant = {numbers[letter * len(token)]: tokens[token] for token, letter in marks.items()}
    return Twin(len(tokenizer), backend, marks, meant)


def _mark(token: AddedToken, letter: str) -> AddedToken:
    """What takes as much white space with it as the token would."""
    from tokenizers import AddedToken

    return AddedToken(
        letter * len(token.content),
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=False,
        special=False,
    )
