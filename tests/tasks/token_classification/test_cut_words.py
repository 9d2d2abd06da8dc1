"""Long sentences in rows: each word once, where it has most context."""

from __future__ import annotations

import numpy as np

from welltuned.data.tokens.word_alignment import NONE
from welltuned.tasks.long import HeadTail, Windows
from welltuned.tasks.token_classification.cut_words import cut_words

WORDS = np.array([NONE, 0, 0, *range(1, 20), NONE])
"""`[CLS]`, 20 words of which the first is two tokens, `[SEP]`."""
FIRST = np.array([1, *range(3, 22)])


def test_each_word_is_read_in_one_window_near_its_middle() -> None:
    cut = cut_words(Windows(stride=4), WORDS, 10)
    assert len(cut.rows) == 5 and not cut.loses
    rows_W, places_W = cut.placed(FIRST)
    assert (places_W != NONE).all() and (np.diff(rows_W) >= 0).all()
    read = [int(cut.rows[row][place]) for row, place in zip(rows_W, places_W, strict=True)]
    assert read == FIRST.tolist()
    inner = places_W[(rows_W > 0) & (rows_W < 4)]
    assert inner.min() >= 3 and inner.max() <= 6, "two tokens or more on either side"


def test_a_token_is_labelled_in_one_row_alone() -> None:
    cut = cut_words(Windows(stride=4), WORDS, 10)
    labels = np.arange(len(WORDS))
    found = np.concatenate(cut.tracks(labels, fill=-100))
    kept = found[(found != -100) & (found != 0) & (found != len(WORDS) - 1)]
    assert sorted(kept) == list(range(1, 22))
    assert [len(row) for row in cut.tracks(labels, fill=None)] == [10] * 5


def test_words_in_the_middle_may_be_in_no_row() -> None:
    cut = cut_words(HeadTail(), WORDS, 10)
    rows_W, places_W = cut.placed(FIRST)
    assert cut.loses and (rows_W == 0).all()
    assert (places_W != NONE).tolist() == [True, *[False] * 13, *[True] * 6]


def test_a_sentence_without_words_is_one_row() -> None:
    cut = cut_words(Windows(), np.array([NONE, NONE]), 8)
    assert len(cut.rows) == 1 and cut.placed(np.array([NONE]))[1].tolist() == [NONE]
