"""Texts as rows, and batches of them with masks that follow from seed, epoch and text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import refused
from support import make_tokenizer
from welltuned.data.tokens.encoding import IGNORED
from welltuned.data.tokens.word_alignment import NONE
from welltuned.tasks.masked_language_modelling import MaskedLanguageModelling
from welltuned.tasks.masked_language_modelling.codec import MaskableTexts, MaskingCodec

LONG = " ".join(["good film and book"] * 6)


def codec(**options: Any) -> MaskingCodec:
    return MaskingCodec(MaskedLanguageModelling(**options))


def encoded(texts: list[str], max_length: int = 64, **options: Any) -> MaskableTexts:
    mine = codec(**options)
    return mine.encode(make_tokenizer("encoder", "bert"), mine.records_of(texts), max_length)


def test_long_texts_become_rows_each_with_special_tokens() -> None:
    found = encoded([LONG, "the film"], max_length=10)
    assert found.lengths.tolist() == [10, 10, 10, 4]
    assert found.targets is not None
    assert found.targets.tolist() == [8, 8, 8, 2]
    assert found.records.lines == [1, 1, 1, 2]
    assert codec().notes(found, "train")[0]["values"] == {"split": "train", "texts": 2, "rows": 4}
    assert {int(found.encoded[row][0]) for row in range(4)} == {2}


def test_a_text_without_anything_to_hide_is_left_out() -> None:
    assert len(encoded(["the film", ""])) == 1


def test_special_tokens_belong_to_no_word() -> None:
    assert encoded(["the film"]).words.tolist() == [NONE, 0, 1, NONE]


def test_every_epoch_has_its_own_masks_and_measuring_always_the_same() -> None:
    found, mine = encoded([LONG, LONG.replace("film", "meal")]), codec()

    def labels(seed: int, epoch: int) -> list[Any]:
        return mine.collate(found.in_epoch(seed, epoch), [0, 1], 0)["labels"].tolist()

    assert labels(0, 0) == labels(0, 0)
    assert labels(0, 0) != labels(0, 1) != labels(1, 1)
    held = mine.collate(found, [0, 1], 0)["labels"]
    again = mine.collate(found, [1], 0)["labels"]
    assert held[1].tolist() == again[0].tolist(), "whatever stands beside it"


def test_a_batch_holds_what_is_hidden_as_labels_and_masks_in_its_place() -> None:
    found = encoded([LONG, "the film"], mlm_probability=0.5)
    batch = codec().collate(found, [1, 0], pad_id=0)
    hidden = batch["labels"] != IGNORED
    assert hidden.sum(axis=1).tolist() == [1, 12]
    assert batch["attention_mask"].sum(axis=1).tolist() == [4, 26]
    assert (batch["labels"][hidden] > 4).all(), "no special token is to be foretold"
    assert (batch["input_ids"] == 4).sum() > 5


def test_rows_can_be_taken_and_joined() -> None:
    found = encoded([LONG, "the film", "a book"])
    other = found.take([2, 0]).join(found.take([1]))
    assert (
        other.words.tolist()
        == np.concatenate([found.words[30:34], found.words[:26], found.words[26:30]]).tolist()
    )


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with refused("task.mask_token_missing"):
        codec().fit_tokenizer(make_tokenizer("decoder", "gpt2"))


@pytest.mark.parametrize("whole", [True, False])
def test_pieces_of_a_word_share_its_number_unless_told_otherwise(whole: bool) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["[UNK]", "[MASK]", "walk", "##ing", "dog"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", mask_token="[MASK]"
    )
    mine = codec(whole_word_mask=whole)
    found = mine.encode(tokenizer, mine.records_of(["walking dog"]), 16)
    assert found.words.tolist() == ([0, 0, 1] if whole else [0, 1, 2])
