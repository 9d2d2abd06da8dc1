"""What is hidden of a text, and that it follows from seed, epoch and text alone."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.data.tokens.encoding import IGNORED
from welltuned.data.tokens.word_alignment import NONE
from welltuned.tasks.masked_language_modelling.masking import HELD, Draw, Masking, chosen_words

MASK = 4
MASKING = Masking(0.15, MASK, np.arange(5, 1000, dtype=np.int32))
IDS = np.concatenate([[2], np.arange(100, 400), [3]]).astype(np.int32)
WORDS = np.concatenate([[NONE], np.repeat(np.arange(150), 2), [NONE]]).astype(np.int32)


def test_what_is_not_chosen_stays_and_what_is_stands_in_the_labels() -> None:
    seen, labels = MASKING.masked(IDS, WORDS, Draw(0, 1))
    chosen = labels != IGNORED
    assert (seen[~chosen] == IDS[~chosen]).all()
    assert (labels[chosen] == IDS[chosen]).all()
    assert chosen.sum() == 44, "45 is the share, of which words of two pieces fill 44"


def test_words_are_chosen_whole_and_special_tokens_never() -> None:
    _, labels = MASKING.masked(IDS, WORDS, Draw(0, 1))
    chosen = (labels != IGNORED)[1:-1].reshape(-1, 2)
    assert (chosen[:, 0] == chosen[:, 1]).all()
    assert labels[[0, -1]].tolist() == [IGNORED, IGNORED]


def test_of_those_chosen_eight_tenths_are_masked_and_one_is_another_token() -> None:
    fates = np.zeros(3)
    for epoch in range(1, 100):
        seen, labels = MASKING.masked(IDS, WORDS, Draw(0, epoch))
        chosen = labels != IGNORED
        kept, masked = seen[chosen] == IDS[chosen], seen[chosen] == MASK
        fates += [masked.sum(), (~masked & ~kept).sum(), kept.sum()]
    assert fates / fates.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_masks_follow_from_seed_epoch_and_text_alone() -> None:
    def labels(*draw: int) -> list[int]:
        return MASKING.masked(IDS, WORDS, Draw(*draw))[1].tolist()

    assert labels(0, 1) == labels(0, 1)
    drawn = [labels(0, 1), labels(0, 2), labels(1, 1), labels(*HELD)]
    assert all(one != other for i, one in enumerate(drawn) for other in drawn[:i])


def test_another_text_has_other_masks() -> None:
    other = IDS.copy()
    other[5] += 1
    both = [MASKING.masked(ids, WORDS, HELD)[1] != IGNORED for ids in (IDS, other)]
    assert (both[0] != both[1]).any()


@pytest.mark.parametrize(
    ("words", "chosen"),
    [([NONE, 0, NONE], [False, True, False]), ([0, 0, 0, 1, 1], [False] * 3 + [True] * 2)],
)
def test_one_word_at_least_is_chosen_the_shortest_of_those_that_are_too_long(
    words: list[int], chosen: list[bool]
) -> None:
    assert chosen_words(np.array(words), 0.15, np.random.default_rng(0)).tolist() == chosen


def test_nothing_is_chosen_where_nothing_may_be() -> None:
    assert not chosen_words(np.array([NONE, NONE]), 0.15, np.random.default_rng(0)).any()
