"""Tokens, kinds, merges and scores of a GGUF file are those of the tokenizer, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf import TokenType
from tokenizers import processors

from faults import fails, refused
from llamas import SPECIAL, bpe_tokenizer, pieces_tokenizer, speaking
from support import make_tokenizer
from welltuned.deployment.export.gguf.format import WEIGHTS, write_gguf
from welltuned.deployment.export.gguf.proof import read_tokenizer_back, require_same_tokens
from welltuned.deployment.export.gguf.vocabulary import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    piece_scores,
    read_vocabulary,
)

TEXTS = [
    "the film and the book",
    " in an inner land.",
    "Ärger, 123 <s> x",
    "a  b\n\tc",
    "中文",
    "her",
]


def test_kinds_are_numbered_as_in_gguf() -> None:
    kinds = TokenType
    ours = (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE)
    theirs = (kinds.NORMAL, kinds.UNKNOWN, kinds.CONTROL, kinds.USER_DEFINED, kinds.UNUSED,
              kinds.BYTE)  # fmt: skip
    assert ours == theirs


def test_byte_level_bpe_keeps_its_merges_and_rows_without_tokens_are_unused() -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.add_tokens(["<think>"])
    found = read_vocabulary(tokenizer, len(tokenizer) + 3)
    assert (found.model, found.splitting) == ("gpt2", "gpt-2") and found.scores == ()
    assert found.tokens[:3] == ["<|end|>", "<|im_start|>", "<|im_end|>"]
    assert list(found.kinds[:4]) == [CONTROL, CONTROL, CONTROL, NORMAL]
    number = tokenizer.convert_tokens_to_ids("<think>")
    assert (found.tokens[number], found.kinds[number]) == ("<think>", USER_DEFINED)
    assert list(found.kinds[-3:]) == [UNUSED] * 3 and found.tokens[-1] == f"[PAD{number + 3}]"
    assert all(merge.count(" ") == 1 for merge in found.merges) and len(found.merges) > 30
    assert found.special == {"eos": 2, "pad": 0} and not found.begins and not found.ends


def test_a_turn_may_end_with_another_token_than_a_text() -> None:
    tokenizer = bpe_tokenizer()
    tokenizer.eos_token = "<|end|>"
    assert read_vocabulary(tokenizer, len(tokenizer)).special["eot"] == 2


@pytest.mark.parametrize("puts_space_first", [True, False])
def test_pieces_keep_their_order_as_scores(puts_space_first: bool) -> None:
    tokenizer = pieces_tokenizer(puts_space_first)
    found = read_vocabulary(tokenizer, len(tokenizer))
    assert found.model == "llama" and found.merges == ()
    assert found.puts_space_first is puts_space_first
    kinds = dict(zip(found.tokens, found.kinds, strict=True))
    assert kinds["<unk>"] == UNKNOWN and kinds["<s>"] == CONTROL and kinds["<0x0A>"] == BYTE
    scores = dict(zip(found.tokens, found.scores, strict=True))
    assert scores["▁t"] > scores["he"] > scores["▁the"] > scores["▁a"] > scores["z"]


def compare(tokenizer: Any, folder: Path) -> None:
    """A tokenizer with the one in a file."""
    read = read_tokenizer_back(folder, WEIGHTS)
    wanted = read_vocabulary(tokenizer, len(tokenizer))
    require_same_tokens(tokenizer, read, TEXTS, wanted, folder / WEIGHTS)


def test_pieces_are_read_back_from_scores_alone(tmp_path: Path) -> None:
    """The reader makes its merges of the scores, and so do llama.cpp's."""
    tokenizer = pieces_tokenizer()
    write_gguf(speaking(tokenizer=tokenizer, style="plain"), tmp_path / WEIGHTS, "fp32")
    compare(tokenizer, tmp_path)
    with fails("export.gguf_reads_otherwise"):
        compare(pieces_tokenizer(order=-1), tmp_path)


def test_merges_that_no_scores_give_have_none() -> None:
    letters = {letter: i for i, letter in enumerate("abc")}
    whole = {**letters, "ab": 3, "bc": 4, "abc": 5}
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")]
    assert piece_scores(whole, merges) == {"ab": -0.0, "bc": -1.0, "abc": -2.0}
    assert piece_scores(whole, merges[:3]) is None, "the last pair may not be merged, and scores do"
    apart = [("a", "b"), ("ab", "c"), ("b", "c"), ("a", "bc")]
    assert piece_scores(whole, apart) is None, "two merges into one piece, another between them"


@pytest.mark.parametrize(
    "tokenizer",
    [
        lambda: make_tokenizer("decoder", "llama"),  # whole words
        lambda: make_tokenizer("decoder", "qwen2"),  # no merges
        lambda: surrounded("<|im_start|> $A <|end|>"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tokenizer: object) -> None:
    made = tokenizer()  # type: ignore[operator]
    with refused("export.cannot_hold", format="gguf"):
        read_vocabulary(made, len(made))


def surrounded(single: str) -> Any:
    """A tokenizer that puts tokens around a text."""
    tokenizer = bpe_tokenizer()
    tokenizer.bos_token = "<|im_start|>"
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        special_tokens=[(token, i) for i, token in enumerate(SPECIAL)],
    )
    return tokenizer


@pytest.mark.parametrize(
    ("single", "begins", "ends"),
    [
        ("<|im_start|> $A", True, False),
        ("$A <|im_end|>", False, True),
        ("<|im_start|> $A <|im_end|>", True, True),
    ],
)
def test_what_is_put_around_a_text_is_told(single: str, begins: bool, ends: bool) -> None:
    tokenizer = surrounded(single)
    found = read_vocabulary(tokenizer, len(tokenizer))
    assert (found.begins, found.ends) == (begins, ends)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused() -> None:
    tokenizer = bpe_tokenizer()
    with refused("export.cannot_hold", format="gguf"):
        read_vocabulary(tokenizer, len(tokenizer) - 1)
