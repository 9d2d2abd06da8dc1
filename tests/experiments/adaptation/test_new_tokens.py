"""Which words become tokens, and what their embeddings begin as."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support import make_config
from welltuned.experiments.adaptation.new_tokens import NewToken, add_tokens, find_new_tokens


def word_pieces() -> Any:
    """A tokenizer that takes most words apart, in lower case, and Chinese by character."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "room", "##s", "店", *letters]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]"
    )


TEXTS = ["Hotel room", "the hotel, the Rooms 123"] * 5 + ["酒店"] * 6 + ["seldom"] * 4


def test_words_are_chosen_by_the_tokens_they_save() -> None:
    found = find_new_tokens(word_pieces(), TEXTS, 10)
    assert [(token.word, token.saves) for token in found] == [
        ("hotel", 40), ("the", 20), ("酒", 6), ("rooms", 5),
    ]  # fmt: skip


def test_as_many_as_are_asked_for_and_none_that_is_known_rare_or_a_number() -> None:
    assert [token.word for token in find_new_tokens(word_pieces(), TEXTS, 1)] == ["hotel"]
    assert find_new_tokens(word_pieces(), ["room 12345"] * 9 + ["seldom"], 5) == []


def test_new_tokens_stand_for_whole_words_alone() -> None:
    tokenizer, model = word_pieces(), small_model(70)
    add_tokens(model, tokenizer, find_new_tokens(tokenizer, TEXTS, 10))
    assert tokens(tokenizer, "A HOTEL near")[1] == "hotel"
    assert tokens(tokenizer, "hotels")[0] == "h"
    assert tokens(tokenizer, "酒店") == ["酒", "店"]


def tokens(tokenizer: Any, text: str) -> list[str]:
    return [
        token.strip() for token in tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])
    ]


def test_a_space_that_belongs_to_a_word_is_taken_with_it() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {token: i for i, token in enumerate(["[UNK]", "\u0120", *"abehlot"])}
    backend = Tokenizer(models.BPE(letters, [], unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    new = find_new_tokens(tokenizer, ["a hotel"] * 5, 1)
    assert [(token.word, token.saves) for token in new] == [("hotel", 25)]
    add_tokens(small_model(len(tokenizer)), tokenizer, new)
    ids = tokenizer("a hotel b")["input_ids"]
    assert ids == [letters["a"], len(letters), letters["\u0120"], letters["b"]]


def small_model(rows: int) -> Any:
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(make_config("bert", vocab_size=rows))


@pytest.mark.parametrize("spare", [0, 9])
def test_embeddings_and_biases_begin_as_the_mean_of_the_pieces(spare: int) -> None:
    """Also where the model has rows to spare, as some are padded to round numbers."""
    tokenizer = word_pieces()
    model = small_model(len(tokenizer) + spare)
    with torch.no_grad():
        model.cls.predictions.decoder.bias.normal_()
    weight = model.get_input_embeddings().weight.detach().clone()
    bias = model.cls.predictions.decoder.bias.detach().clone()
    row = len(tokenizer)
    add_tokens(model, tokenizer, [NewToken("hotel", (10, 11, 12), 1)])
    assert tokenizer.convert_tokens_to_ids("hotel") == row
    torch.testing.assert_close(
        model.get_input_embeddings().weight[row], weight[[10, 11, 12]].mean(0)
    )
    torch.testing.assert_close(
        model.get_output_embeddings().weight[row], weight[[10, 11, 12]].mean(0)
    )
    torch.testing.assert_close(model.get_output_embeddings().bias[row], bias[[10, 11, 12]].mean())
    assert model.get_input_embeddings().weight[:row].equal(weight[:row])
