"""Texts as rows of tokens with the words these belong to, and batches of them with masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.records import Records, Role
from welltuned.data.tokens import ragged, special_tokens
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.data.tokens.text_units import units_of_tokens
from welltuned.data.tokens.word_alignment import NONE, require_offsets
from welltuned.errors import Fault, Faults, InputError
from welltuned.schema.messages import Message
from welltuned.tasks.examples import Examples
from welltuned.tasks.masked_language_modelling.masking import HELD, Draw, Masking
from welltuned.tasks.parts import Codec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from welltuned.tasks.masked_language_modelling.config import MaskedLanguageModelling

_CHUNK = 1000
_TEXT = ("text", "sentence", "content", "review", "document", "passage", "code", "func")

ROLES: tuple[Role, ...] = (
    Role("text", _TEXT, is_input=True),
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
)


@dataclass(frozen=True)
class MaskableTexts(Examples):
    """Rows of texts. Targets (N) are the tokens of each that may be hidden."""

    words: np.ndarray
    """The number of each token's word in its row, end to end as the ids are; `NONE` for special
    tokens."""
    masking: Masking
    draw: Draw = HELD

    def in_epoch(self, seed: int, epoch: int) -> MaskableTexts:
        return replace(self, draw=Draw(seed, epoch + 1))

    def take(self, indices: Sequence[int]) -> MaskableTexts:
        plain = super().take(indices)
        words = self.words[ragged.take(self.encoded.offsets, indices)[0]]
        parts = plain.encoded, plain.targets, plain.records
        return MaskableTexts(*parts, words, self.masking, self.draw)

    def join(self, other: Examples) -> MaskableTexts:
        assert isinstance(other, MaskableTexts)
        plain = super().join(other)
        words = np.concatenate([self.words, other.words])
        parts = plain.encoded, plain.targets, plain.records
        return MaskableTexts(*parts, words, self.masking, self.draw)

    def masked(self, indices: Sequence[int]) -> Encoded:
        """Some of the rows with their masks, and what these hide as labels."""
        rows = self.take(indices)
        ids, labels = np.empty_like(rows.encoded.ids), np.empty_like(rows.encoded.ids)
        for start, end in zip(rows.encoded.offsets[:-1], rows.encoded.offsets[1:], strict=True):
            row = slice(start, end)
            parts = rows.encoded.ids[row], rows.words[row]
            ids[row], labels[row] = self.masking.masked(*parts, self.draw)
        return replace(rows.encoded, ids=ids, labels=labels)


@dataclass(frozen=True)
class MaskingCodec(Codec):
    """Targets (N) are how many tokens of each row may be hidden."""

    config: MaskedLanguageModelling

    roles: ClassVar[tuple[Role, ...]] = ROLES

    def records_of(self, inputs: Sequence[object]) -> Records:
        texts = [str(given) for given in inputs]
        return Records("texts", {"text": texts}, list(range(1, len(texts) + 1)), ("text",))

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """Not known before texts are tokens."""
        return np.zeros(len(records), dtype=np.int64)

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises `InputError` for one that cannot hide words."""
        require_offsets(tokenizer)
        if tokenizer.mask_token_id is None:
            raise InputError(_without_mask(tokenizer))

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> MaskableTexts:
        """Every text in as many rows as it takes; rows without a token to hide are left out."""
        self.fit_tokenizer(tokenizer)
        rows = _Rows([], [], [])
        texts = [str(text) for text in records["text"]]
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            rows.add(tokenizer, part, start, max_length, self.config.whole_word_mask)
            progress(start + len(part))
        hideable_N = np.array([int((words_T != NONE).sum()) for words_T in rows.words], int)
        kept = np.flatnonzero(hideable_N).tolist()
        encoded = Encoded.of([rows.ids[i] for i in kept], [False] * len(kept))
        words = [rows.words[i] for i in kept]
        return MaskableTexts(
            encoded,
            hideable_N[kept],
            records.take([rows.texts[i] for i in kept]),
            np.concatenate(words) if words else np.zeros(0, np.int32),
            self.masking(tokenizer),
        )

    def masking(self, tokenizer: PreTrainedTokenizerBase) -> Masking:
        """How texts of a tokenizer are masked."""
        special = set(tokenizer.all_special_ids)
        ordinary = sorted(set(tokenizer.get_vocab().values()) - special)
        mask_id = tokenizer.mask_token_id
        assert isinstance(mask_id, int), "fit_tokenizer sees to it"
        return Masking(self.config.mlm_probability, mask_id, np.array(ordinary, np.int32))

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """With the masks of the examples' epoch, or those that a model is measured on."""
        assert isinstance(examples, MaskableTexts)
        return pad(examples.masked(indices), range(len(indices)), pad_id)

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return examples.split_texts(split)


def _without_mask(tokenizer: PreTrainedTokenizerBase) -> Fault:
    return Fault(
        "task.mask_token_missing",
        "the tokenizer ({tokenizer}) has no mask token, so nothing can be hidden from its model",
        None,
        "use an encoder that was pretrained with masks, such as BERT or RoBERTa",
        tokenizer=type(tokenizer).__name__,
    )


@dataclass(frozen=True)
class _Rows:
    """Rows as they are made: their ids, the words of their tokens, and the text each is of."""

    ids: list[list[int]]
    words: list[np.ndarray]
    texts: list[int]

    def add(
        self,
        tokenizer: PreTrainedTokenizerBase,
        texts: list[str],
        first: int,
        max_length: int,
        whole: bool,
    ) -> None:
        """The rows of some texts, of which the first has this number."""
        batch: Any = special_tokens.tokenise(
            tokenizer,
            texts,
            truncation=True,
            max_length=max_length,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        for row, text in enumerate(batch["overflow_to_sample_mapping"]):
            offsets_T2 = np.array(batch["offset_mapping"][row]).reshape(-1, 2)
            special_T = np.array(batch["special_tokens_mask"][row], dtype=bool)
            words_T = units_of_tokens(texts[text], offsets_T2, special_T)
            pieces_T = np.where(special_T, NONE, np.arange(len(special_T))).astype(np.int32)
            self.ids.append(batch["input_ids"][row])
            self.words.append(words_T if whole else pieces_T)
            self.texts.append(first + text)
