"""Sentences as a model reads them: one tag for each word, learned from its first token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.readers import conll
from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.data.tokens import ragged
from welltuned.data.tokens.encoding import IGNORED, Encoded, pad
from welltuned.data.tokens.windows import WINDOWS
from welltuned.data.tokens.word_alignment import NONE, TokenisedWords, first_tokens, tokenise_words
from welltuned.errors import Fault, Faults, Place
from welltuned.metrics.entities import split_tag
from welltuned.schema.messages import Message, message
from welltuned.tasks.examples import Examples
from welltuned.tasks.long import TRUNCATE, LongTexts
from welltuned.tasks.parts import Codec
from welltuned.tasks.token_classification.cut_words import cut_words
from welltuned.tasks.token_classification.word_rows import SENTENCE, group_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORDS = ("words", "tokens", "word", "token", "sentence", "text")
_TAGS = (
    "tags",
    "ner_tags",
    "ner",
    "labels",
    "label",
    "tag",
    "entities",
    "pos_tags",
    "pos",
    "upos",
    "chunk_tags",
)

ROLES: tuple[Role, ...] = (
    Role("words", _WORDS, is_input=True, is_list=True),
    Role("tags", _TAGS, is_target=True, is_list=True),
    Role("id", ("id", "idx", "guid", "uid"), required=False),
    Role("group", (), required=False),
    SENTENCE,
)


def read_sentences(table: Table, columns: dict[str, str], faults: Faults) -> Table:
    """A table of sentences: the lines of a `.txt` file, or one word a row, are grouped."""
    if PurePath(table.source).suffix.lower() != ".txt":
        return group_words(table, ROLES, columns, faults)
    lines = zip(table.lines, table.columns["text"], strict=True)
    sentences = conll.parse(lines, table.source, faults)
    return Table(table.source, *sentences, table.readings)


@dataclass(frozen=True)
class TaggedSentences(Examples):
    """Sentences ready for a model. Targets are N arrays, a tag number for each word."""

    first_tokens: list[np.ndarray]
    """For each sentence the place of its words' first tokens; `NONE` for words without one."""
    width: int
    """As many words as the longest sentence shows to the model."""
    word_rows: list[np.ndarray] | None = field(default=None, kw_only=True)
    """Which of its sentence's rows each word is read in; None where a sentence is one row."""

    @cached_property
    def flat_first_tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """`first_tokens` end to end (M), and where each sentence's start (N + 1)."""
        starts = ragged.offsets_of([len(first_W) for first_W in self.first_tokens])
        return np.concatenate(self.first_tokens), starts

    @cached_property
    def flat_word_rows(self) -> np.ndarray | None:
        """`word_rows` end to end (M)."""
        return None if self.word_rows is None else np.concatenate(self.word_rows)

    def take(self, indices: Sequence[int]) -> TaggedSentences:
        plain = super().take(indices)
        first = [self.first_tokens[i] for i in indices]
        rows = None if self.word_rows is None else [self.word_rows[i] for i in indices]
        return self._of(plain, first, self.width, rows)

    def join(self, other: Examples) -> TaggedSentences:
        assert isinstance(other, TaggedSentences)
        plain = super().join(other)
        first = self.first_tokens + other.first_tokens
        width = max(self.width, other.width)
        both = self.word_rows, other.word_rows
        rows = None if both[0] is None or both[1] is None else both[0] + both[1]
        return self._of(plain, first, width, rows)

    @staticmethod
    def _of(
        plain: Examples, first: list[np.ndarray], width: int, rows: list[np.ndarray] | None
    ) -> TaggedSentences:
        return TaggedSentences(
            plain.encoded,
            plain.targets,
            plain.records,
            first,
            width,
            windows=plain.windows,
            word_rows=rows,
        )


@dataclass(frozen=True)
class SentenceCodec(Codec):
    """Targets are N arrays (W each) of tag numbers."""

    tags: tuple[str, ...]
    label_all_pieces: bool = False
    long: LongTexts = TRUNCATE

    roles: ClassVar[tuple[Role, ...]] = ROLES
    expects: ClassVar[str] = "a text whose words are parted by spaces, or a list of words"

    @property
    def reads_plainly(self) -> bool:
        return self.long.reads_plainly

    def accepts(self, given: object) -> bool:
        words = isinstance(given, (list, tuple)) and all(isinstance(word, str) for word in given)
        return isinstance(given, str) or words

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return read_sentences(table, columns, faults)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> TaggedSentences:
        plainly = self.long.reads_plainly
        limit = max_length if plainly else None
        found = tokenise_words(tokenizer, records["words"], limit, progress)
        targets = self.read_targets(records, Faults()) if "tags" in records else None
        labels = None
        if targets is not None:
            labels = [self._labels(*pair) for pair in zip(found.words, targets, strict=True)]
        first = [
            first_tokens(words_T, len(words))
            for words_T, words in zip(found.words, records["words"], strict=True)
        ]
        if not plainly:
            return self._in_rows(found, first, labels, targets, records, max_length)
        width = max((int(words_T.max()) + 1 for words_T in found.words), default=1)
        encoded = Encoded.of(found.ids, found.truncated, labels=labels)
        return TaggedSentences(encoded, targets, records, first, max(width, 1))

    def _in_rows(
        self,
        found: TokenisedWords,
        first: list[np.ndarray],
        labels: list[np.ndarray] | None,
        targets: np.ndarray | None,
        records: Records,
        max_length: int,
    ) -> TaggedSentences:
        """Whole sentences as the rows that are read of them."""
        cuts = [cut_words(self.long, words_T, max_length) for words_T in found.words]
        places = [cut.placed(first_W) for cut, first_W in zip(cuts, first, strict=True)]
        of_rows = [cut.tracks(ids, fill=None) for cut, ids in zip(cuts, found.ids, strict=True)]
        tags = None
        if labels is not None:
            told = zip(cuts, labels, strict=True)
            tags = [row for cut, one in told for row in cut.tracks(one, fill=IGNORED)]
        lost = [cut.loses for cut in cuts for _ in cut.rows]
        seen = [np.flatnonzero(place_W != NONE) for _, place_W in places]
        return TaggedSentences(
            Encoded.of([row for rows in of_rows for row in rows], lost, labels=tags),
            targets,
            records,
            [place_W for _, place_W in places],
            max((int(words[-1]) + 1 for words in seen if len(words)), default=1),
            windows=self.long.index([len(cut.rows) for cut in cuts]),
            word_rows=[row_W for row_W, _ in places],
        )

    def _labels(self, words_T: np.ndarray, target_W: np.ndarray) -> np.ndarray:
        """What each token shall be recognised as (T): a word's first piece as its tag."""
        is_piece_T = words_T != NONE
        labels_T = np.full(len(words_T), IGNORED)
        if self.label_all_pieces:
            labels_T[is_piece_T] = np.array([self._inside(tag) for tag in target_W])[
                words_T[is_piece_T]
            ]
        first_W = first_tokens(words_T, len(target_W))
        labels_T[first_W[first_W != NONE]] = target_W[first_W != NONE]
        return labels_T

    def _inside(self, number: int) -> int:
        """The tag of a word's further pieces: an entity that has begun goes on."""
        tag = self.tags[number]
        inside = "I" + tag[1:]
        begun = split_tag(tag)[0] == "B" and inside in self.tags
        return self.tags.index(inside) if begun else number

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """`first_tokens` (B, W) beside what the model reads, as wide as the whole split needs.

        They are places in a text's row; in all rows end to end, where `windows` tells whose those
        are. Of a sample of windows, which is only learned from, none is told.
        """
        assert isinstance(examples, TaggedSentences)
        batch = pad(examples.encoded, examples.rows_of(indices), pad_id)
        batch |= examples.window_table(indices)
        first_M, starts = examples.flat_first_tokens
        real_BW, where = ragged.grid(starts, indices, examples.width)
        first_BW = np.full(real_BW.shape, NONE)
        first_BW[real_BW] = first_M[where]
        if WINDOWS in batch:
            assert examples.windows is not None and examples.flat_word_rows is not None
            row_BW = np.zeros_like(first_BW)
            row_BW[real_BW] = examples.flat_word_rows[where]
            row_BW += batch[WINDOWS][:, :1]
            told = (first_BW != NONE) & (examples.windows.seed is None)
            first_BW = np.where(told, row_BW * batch["input_ids"].shape[1] + first_BW, NONE)
        return {**batch, "first_tokens": first_BW}

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Texts, whose words are parted by spaces, or lists of words; as sentences without tags."""
        words = [given.split() if isinstance(given, str) else list(given) for given in inputs]
        return Records("texts", {"words": words}, list(range(1, len(words) + 1)), ("words",))

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """N arrays (W each) of tag numbers."""
        number = {tag: i for i, tag in enumerate(self.tags)}
        targets = np.empty(len(records), dtype=object)
        for index, (words, tags) in enumerate(zip(records["words"], records["tags"], strict=True)):
            self._check(words, tags, records, index, faults)
            targets[index] = np.array([number.get(tag, 0) for tag in tags], dtype=np.int64)
        return targets

    def _check(
        self, words: list[str], tags: list[str], records: Records, index: int, faults: Faults
    ) -> None:
        place = records.place(index)
        if len(words) != len(tags):
            faults.add_counted(
                "task.tags_and_words_differ",
                "{words} words but {tags} tags",
                place,
                "give one tag for each word",
                words=len(words),
                tags=len(tags),
            )
            return
        for position, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
            if tag not in self.tags:
                known = ", ".join(self.tags[:20]) + (", …" if len(self.tags) > 20 else "")
                faults.count(_unknown_tag(word, tag, position, place, known))

    def notes(self, examples: Examples, split: str) -> list[Message]:
        assert isinstance(examples, TaggedSentences)
        unseen = sum(int((first == NONE).sum()) for first in examples.first_tokens)
        if not unseen:
            return []
        total = sum(len(first) for first in examples.first_tokens)
        return [
            message(
                "task.words_without_token",
                "{split}: {unseen:,} of {total:,} words ({share:.1%}) have no token: their "
                "sentence was cut, or they hold nothing the tokenizer knows; they score as missed.",
                split=split,
                unseen=unseen,
                total=total,
                share=unseen / total,
            )
        ]


def _unknown_tag(word: str, tag: str, position: int, place: Place, known: str) -> Fault:
    """The fault of a word whose tag is missing, or did not occur in train."""
    if not tag:
        return Fault(
            "task.tag_missing",
            "the tag of word {position}, '{word}', is missing",
            place,
            "tags are: {known}",
            position=position,
            word=word,
            known=known,
        )
    return Fault(
        "task.tag_unseen",
        "the tag of word {position}, '{word}', is '{tag}', which does not occur in train",
        place,
        "tags are: {known}",
        position=position,
        word=word,
        tag=tag,
        known=known,
    )
