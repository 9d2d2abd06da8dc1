"""Texts as rows of tokens: special tokens, segments and what was lost, whatever the strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import refused
from support import make_tokenizer
from welltuned.data.tokens.encoding import encode_texts
from welltuned.tasks.long import HeadTail, LongTexts, Truncate, Windows, read_texts

SHORT, LONG = "the film was great", " ".join(["the film was good but the room felt cold"] * 4)


class Plain(HeadTail):
    """What a tokenizer would cut, cut by places."""

    def cut(self, parts_T: np.ndarray, max_length: int) -> list[np.ndarray]:
        return Truncate().cut(parts_T, max_length)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer("encoder", "bert")


def words(tokenizer: Any, row: np.ndarray) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(row.tolist()))


@pytest.mark.parametrize("pairs", [None, [LONG, SHORT, LONG]])
def test_cut_by_places_is_cut_as_the_tokenizer_cuts(
    tokenizer: Any, pairs: list[str] | None
) -> None:
    texts = [SHORT, LONG, LONG]
    ours, windows = read_texts(Plain(), tokenizer, texts, pairs, 16)
    theirs = encode_texts(tokenizer, texts, pairs, 16)
    assert windows is None
    assert ours.ids.tolist() == theirs.ids.tolist()
    assert ours.truncated.tolist() == theirs.truncated.tolist()
    assert (ours.type_ids is None) == (theirs.type_ids is None)
    if theirs.type_ids is not None:
        assert ours.type_ids is not None
        assert ours.type_ids.tolist() == theirs.type_ids.tolist()


def test_windows_are_rows_with_special_tokens(tokenizer: Any) -> None:
    told: list[int] = []
    encoded, windows = read_texts(
        Windows(stride=6), tokenizer, [SHORT, LONG], None, 10, told.append
    )
    assert windows is not None and windows.numbers.tolist() == [1, 6] and told == [2]
    assert words(tokenizer, encoded[0]) == "[CLS] the film was great [SEP]"
    assert words(tokenizer, encoded[1]) == "[CLS] the film was good but the room felt [SEP]"
    assert words(tokenizer, encoded[2]) == "[CLS] room felt cold the film was good but [SEP]"
    assert words(tokenizer, encoded[6]) == "[CLS] film was good but the room felt cold [SEP]"
    assert not encoded.truncated.any() and encoded.type_ids is None


def test_of_a_pair_the_longer_text_is_read_in_windows(tokenizer: Any) -> None:
    encoded, windows = read_texts(Windows(), tokenizer, [SHORT], [LONG], 16)
    assert windows is not None and windows.numbers[0] == len(encoded) > 1
    rows = [words(tokenizer, encoded[row]) for row in range(len(encoded))]
    assert all(row.startswith("[CLS] the film was great [SEP] ") for row in rows)
    assert encoded.type_ids is not None and encoded.type_ids[:16].tolist() == [0] * 6 + [1] * 10
    swapped, _ = read_texts(Windows(), tokenizer, [LONG], [SHORT], 16)
    assert words(tokenizer, swapped[0]).endswith("[SEP] the film was great [SEP]")


def test_a_pair_of_long_texts_loses_something_and_says_so(tokenizer: Any) -> None:
    encoded, _ = read_texts(Windows(), tokenizer, [LONG], [LONG + " too"], 16)
    assert encoded.truncated.all()


@pytest.mark.parametrize("long", [HeadTail(), Windows()])
def test_a_slow_tokenizer_is_refused(long: LongTexts) -> None:
    class Slow:
        is_fast = False

    with refused("task.tokenizer_without_sequence_ids"):
        read_texts(long, Slow(), [SHORT], None, 16)  # type: ignore[arg-type]


def test_a_text_of_megabytes_is_read_whole(tokenizer: Any) -> None:
    encoded, windows = read_texts(Windows(stride=62), tokenizer, [f"{LONG} " * 500], None, 64)
    assert windows is not None and windows.numbers[0] == -(-500 * 36 // 62)
    assert encoded.lengths.max() == 64
