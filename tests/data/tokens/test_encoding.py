"""Texts as token ids, and batches of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support import make_tokenizer
from welltuned.data.tokens.encoding import Encoded, encode_texts, pad

TEXTS = ["good", "the film was great", "a bad meal", ""]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer("encoder", "bert")


def words(tokenizer: Any, encoded: Encoded, index: int) -> str:
    return " ".join(tokenizer.convert_ids_to_tokens(encoded[index].tolist()))


def test_every_text_has_its_ids_and_special_tokens(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, TEXTS, None, 64)
    assert [words(tokenizer, encoded, i) for i in range(4)] == [
        "[CLS] good [SEP]",
        "[CLS] the film was great [SEP]",
        "[CLS] a bad meal [SEP]",
        "[CLS] [SEP]",
    ]
    assert encoded.lengths.tolist() == [3, 6, 5, 2]
    assert encoded.ids.dtype == np.int32
    assert not encoded.truncated.any()


def test_long_texts_are_cut_and_marked(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, TEXTS, None, 5)
    assert words(tokenizer, encoded, 1) == "[CLS] the film was [SEP]"
    assert encoded.truncated.tolist() == [False, True, False, False]


def test_a_text_that_just_fits_is_not_marked_as_cut(tokenizer: Any) -> None:
    assert encode_texts(tokenizer, ["the film was great"], None, 6).truncated.tolist() == [False]


def test_pairs_are_told_apart_by_their_types(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, ["good"], ["bad film"], 64)
    assert words(tokenizer, encoded, 0) == "[CLS] good [SEP] bad film [SEP]"
    assert encoded.type_ids is not None
    assert encoded.type_ids.tolist() == [0, 0, 0, 1, 1, 1]


def test_pairs_lose_tokens_from_the_longer_text(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, ["good"], ["the film was very bad"], 7)
    assert words(tokenizer, encoded, 0) == "[CLS] good [SEP] the film was [SEP]"
    assert encoded.truncated.tolist() == [True]


def test_single_texts_carry_no_types(tokenizer: Any) -> None:
    assert encode_texts(tokenizer, TEXTS, None, 64).type_ids is None


def test_padding_and_cutting_that_a_tokenizer_file_asks_for_are_overridden() -> None:
    own = make_tokenizer("encoder", "bert")
    own.backend_tokenizer.enable_padding(length=32)
    own.backend_tokenizer.enable_truncation(max_length=4)
    assert encode_texts(own, TEXTS, None, 64).lengths.tolist() == [3, 6, 5, 2]


def test_many_texts_are_encoded_in_order_and_progress_is_told(tokenizer: Any) -> None:
    texts = ["good " * (1 + i % 7) for i in range(2500)]
    heard: list[int] = []
    encoded = encode_texts(tokenizer, texts, None, 6, heard.append)
    assert heard == [1000, 2000, 2500]
    assert encoded.lengths.tolist() == [min(6, 3 + i % 7) for i in range(2500)]
    assert encoded.truncated.tolist() == [3 + i % 7 > 6 for i in range(2500)]


def test_pairs_stay_together_across_chunks(tokenizer: Any) -> None:
    texts = ["good"] * 1500
    encoded = encode_texts(tokenizer, texts, ["bad"] * 1499 + ["film"], 64)
    assert words(tokenizer, encoded, 1499) == "[CLS] good [SEP] film [SEP]"


def test_taken_texts_keep_ids_types_and_marks(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, ["good", "the film was"], ["a", "b"], 6)
    taken = encoded.take([1, 0, 1])
    for position, index in enumerate([1, 0, 1]):
        assert taken[position].tolist() == encoded[index].tolist()
        assert taken.truncated[position] == encoded.truncated[index]
    batch = pad(encoded, [1, 0, 1], 0)
    assert np.array_equal(pad(taken, [0, 1, 2], 0)["token_type_ids"], batch["token_type_ids"])


def test_nothing_can_be_taken(tokenizer: Any) -> None:
    assert len(encode_texts(tokenizer, TEXTS, None, 64).take([])) == 0


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_is_padded_like_the_tokenizer_would(tokenizer: Any, side: str) -> None:
    """Pitfall S5: whichever side."""
    texts, pairs = ["good", "the film was"], ["bad meal", "fine"]
    encoded = encode_texts(tokenizer, texts, pairs, 64)
    tokenizer.padding_side = side
    wanted = tokenizer(texts, pairs, padding=True, return_tensors="np")
    batch = pad(encoded, [0, 1], tokenizer.pad_token_id, side)
    assert set(batch) == set(wanted)
    assert all(np.array_equal(batch[name], wanted[name]) for name in batch)


def test_a_batch_is_as_wide_as_its_longest_text_and_in_the_order_asked(tokenizer: Any) -> None:
    encoded = encode_texts(tokenizer, TEXTS, None, 64)
    batch = pad(encoded, [2, 0], pad_id=9)
    assert batch["input_ids"].shape == (2, 5)
    assert batch["input_ids"][1, 3:].tolist() == [9, 9]
    assert batch["attention_mask"].sum(axis=1).tolist() == [5, 3]
    assert "token_type_ids" not in batch


def test_a_real_token_that_equals_the_padding_is_not_masked(tokenizer: Any) -> None:
    """Pitfall S4: the mask follows lengths, not ids."""
    end = tokenizer.sep_token_id
    batch = pad(encode_texts(tokenizer, TEXTS, None, 64), [0, 1], pad_id=end)
    assert batch["attention_mask"].sum(axis=1).tolist() == [3, 6]


def test_joined_texts_are_those_of_both_in_order(tokenizer: Any) -> None:
    """Types that only one of them has are zero for the others."""
    single, pairs = (
        encode_texts(tokenizer, TEXTS, None, 5),
        encode_texts(tokenizer, ["good"], ["bad"], 64),
    )
    both = single.join(pairs)
    assert len(both) == len(TEXTS) + 1 and both.truncated.tolist() == [*single.truncated, False]
    rows = [*(single[i] for i in range(len(TEXTS))), pairs[0]]
    assert all(np.array_equal(both[i], row) for i, row in enumerate(rows))
    assert both.type_ids is not None and not both.type_ids[: len(single.ids)].any()
    again = pairs.join(single).join(pairs)
    assert np.array_equal(again[len(TEXTS) + 1], pairs[0]) and again.type_ids is not None
    assert again.type_ids.tolist().count(1) == 4


def test_joined_labels_and_positions_stay_beside_their_tokens() -> None:
    one = Encoded.of([[5, 6]], [False], labels=[[5, -100]], positions=[[0, 1]])
    two = Encoded.of([[7], [8, 9]], [False, True], labels=[[7], [8, 9]], positions=[[0], [0, 0]])
    both = one.join(two)
    assert both.labels is not None and both.labels.tolist() == [5, -100, 7, 8, 9]
    assert both.positions is not None and both.positions.tolist() == [0, 1, 0, 0, 0]
    assert both.offsets.tolist() == [0, 2, 3, 5]
