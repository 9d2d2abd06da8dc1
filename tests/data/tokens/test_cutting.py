"""Texts cut to a length are what the tokenizer's own call makes of them, and none is cut unsaid."""

from __future__ import annotations

import random
from typing import Any

import pytest
from transformers import BatchEncoding

from support import WORDS, make_tokenizer
from welltuned.data.tokens import special_tokens
from welltuned.data.tokens.cutting import tokenise_and_cut

FAMILIES = {
    "bert": "encoder",
    "roberta": "encoder",
    "llama": "decoder",
    "qwen2": "decoder",
    "t5": "encoder",
    "bart": "encoder",
}
LENGTHS = (3, 4, 7, 8, 12, 64)


def some_texts(seed: int) -> list[str]:
    draw = random.Random(seed)
    many = [" ".join(draw.choices(WORDS, k=draw.randrange(14))) for _ in range(200)]
    return ["", "[SEP] good [CLS]", "zzz 电影 🎬", *many]


def by_its_own_call(
    tokenizer: Any, texts: list[str], pairs: list[str] | None, max_length: int
) -> tuple[Any, Any, list[bool]]:
    """(ids, types, whether the text is longer without a limit)."""
    cut = special_tokens.tokenise(tokenizer, texts, pairs, truncation=True, max_length=max_length)
    whole = special_tokens.tokenise(tokenizer, texts, pairs, truncation=False, verbose=False)
    longer = [len(row) > max_length for row in whole["input_ids"]]
    return cut["input_ids"], cut.get("token_type_ids"), longer


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_they_are_as_the_tokenizers_own_call_makes_them(
    family: str, paired: bool, side: str
) -> None:
    tokenizer = make_tokenizer(FAMILIES[family], family)
    tokenizer.truncation_side = side
    texts, pairs = some_texts(1), some_texts(2) if paired else None
    for max_length in LENGTHS[2 * paired :]:
        wanted = by_its_own_call(tokenizer, texts, pairs, max_length)
        found = tokenise_and_cut(tokenizer, texts, pairs, max_length)
        assert (found.ids, found.type_ids, found.cut) == wanted
        assert any(found.cut) == (max_length < 64 or family == "qwen2")


def test_what_was_asked_of_the_tokenizer_before_makes_no_difference() -> None:
    tokenizer = make_tokenizer("encoder", "bert")
    tokenizer.init_kwargs["special_tokens_in_text"] = "tokens"
    wanted = tokenise_and_cut(tokenizer, some_texts(1), None, 5)
    tokenizer("good", padding="max_length", max_length=9, split_special_tokens=True)
    tokenizer.backend_tokenizer.enable_truncation(3, direction="left")
    assert tokenise_and_cut(tokenizer, some_texts(1), None, 5) == wanted


def test_a_tokenizer_that_encodes_in_a_way_of_its_own_is_asked_itself() -> None:
    usual = make_tokenizer("encoder", "bert")

    class Own(type(usual)):  # type: ignore[misc]
        def _encode_plus(self, text: Any, **options: Any) -> BatchEncoding:
            return super()._encode_plus([f"{one} bad" for one in text], **options)

    own = Own(tokenizer_object=usual.backend_tokenizer, pad_token="[PAD]")
    found = tokenise_and_cut(own, ["good", "the film was"], None, 5)
    bad = usual.convert_tokens_to_ids("bad")
    assert [row[-2] for row in found.ids][:1] == [bad]
    assert found.cut == [False, True]


def test_without_a_backend_full_rows_are_counted_again() -> None:
    usual = make_tokenizer("encoder", "bert")

    class Slow(type(usual)):  # type: ignore[misc]
        def __call__(self, *texts: Any, **options: Any) -> BatchEncoding:
            return BatchEncoding(dict(super().__call__(*texts, **options)))

    slow = Slow(
        tokenizer_object=usual.backend_tokenizer,
        model_input_names=usual.model_input_names,
        pad_token="[PAD]",
    )
    for pairs in (None, some_texts(2)):
        wanted = tokenise_and_cut(usual, some_texts(1), pairs, 7)
        assert tokenise_and_cut(slow, some_texts(1), pairs, 7) == wanted
