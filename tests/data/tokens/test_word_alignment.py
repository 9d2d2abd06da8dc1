"""Which token stands for which word, whatever the tokenizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faults import refused
from support import make_tokenizer
from welltuned.data.tokens.word_alignment import NONE, first_tokens, tokenise_words

SENTENCE = ["ada", "isn't", "in", "new york", "u.s.-based", "", "good"]


def byte_level(**options: bool) -> Any:
    """A tokenizer as RoBERTa's and GPT-2's: a space belongs to the word after it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<unk>", "<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["Ada is in New York in Ada is"] * 20, trainer)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 3), ("<s>", 2), add_prefix_space=False, **options
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")


def sentence_piece() -> Any:
    """A tokenizer as Llama's: a word begins with a mark, which may be a token of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(set("".join(SENTENCE)) - {" "})
    pieces = [("<unk>", 0.0), ("▁", -1.0), ("▁in", -1.0), *((letter, -2.0) for letter in letters)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<unk>", unk_token="<unk>")


TOKENIZERS = {
    "word": lambda: make_tokenizer("encoder", "bert"),
    "letter": lambda: make_tokenizer("decoder", "qwen2"),
    "bytes": lambda: byte_level(trim_offsets=True),
    "bytes with their space": lambda: byte_level(trim_offsets=False),
    "pieces": sentence_piece,
}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: Any) -> Any:
    return TOKENIZERS[request.param]()


def test_every_word_is_found_where_it_stands(tokenizer: Any) -> None:
    """A word's first token begins its text; the empty word has none."""
    found = tokenise_words(tokenizer, [SENTENCE], 200)
    (words_T,), (ids,) = found.words, found.ids
    assert len(words_T) == len(ids)
    known = words_T[words_T != NONE]
    assert (np.diff(known) >= 0).all()
    assert set(known) == set(range(len(SENTENCE))) - {SENTENCE.index("")}
    offsets = tokenizer(" ".join(SENTENCE), return_offsets_mapping=True)["offset_mapping"]
    text = " ".join(SENTENCE)
    for word, place in zip(SENTENCE, first_tokens(words_T, len(SENTENCE)), strict=True):
        if word:
            start, stop = offsets[place]
            assert word.startswith(text[start:stop].strip()) and text[start:stop].strip()


def test_tokens_are_those_of_running_text(tokenizer: Any) -> None:
    assert tokenise_words(tokenizer, [SENTENCE], 200).ids == [
        tokenizer(" ".join(SENTENCE))["input_ids"]
    ]


def test_what_is_cut_is_said(tokenizer: Any) -> None:
    whole = tokenise_words(tokenizer, [SENTENCE], 200)
    length = len(whole.ids[0])
    assert whole.truncated == [False]
    assert tokenise_words(tokenizer, [SENTENCE], length).truncated == [False]
    short = tokenise_words(tokenizer, [SENTENCE], length - 1)
    assert short.truncated == [True] and len(short.ids[0]) == length - 1
    few = tokenise_words(tokenizer, [SENTENCE], 6)
    assert few.truncated == [True]
    assert first_tokens(few.words[0], len(SENTENCE))[-1] == NONE


def test_a_sentence_without_tokens_still_has_a_row(tokenizer: Any) -> None:
    found = tokenise_words(tokenizer, [[""], ["in"]], 200)
    assert all(len(ids) > 0 for ids in found.ids)
    assert (found.words[0] == NONE).all() and found.truncated == [False, False]


def test_progress_is_told(tokenizer: Any) -> None:
    heard: list[int] = []
    tokenise_words(tokenizer, [["in"]] * 1500, 8, heard.append)
    assert heard == [1000, 1500]


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with refused("tokenizer.not_fast"):
        tokenise_words(Slow(), [SENTENCE], 8)  # type: ignore[arg-type]
