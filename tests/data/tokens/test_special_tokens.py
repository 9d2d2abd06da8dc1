"""Special tokens that are written in texts: plain text for every way to encode them, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import noted
from support import make_tokenizer
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import encode_texts
from welltuned.data.tokens.special_tokens import (
    control_tokens,
    note_special_tokens,
    stay_text,
    tokenise_targets,
    written_in,
)
from welltuned.data.tokens.word_alignment import tokenise_words
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_tokenizer
from welltuned.tasks.responses import encode_responses

FAMILIES = [("encoder", "bert"), ("encoder", "roberta"), ("decoder", "llama"), ("decoder", "gpt2")]


def specials(tokenizer: Any, ids: Any) -> list[int]:
    known = set(control_tokens(tokenizer).values()) - {tokenizer.unk_token_id}
    return [number for number in list(ids) if number in known]


def quoting(tokenizer: Any) -> str:
    return "good " + " ".join(control_tokens(tokenizer)) + " film"


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_texts_pairs_and_words_that_quote_have_the_tokens_of_those_that_do_not(
    kind: str, family: str
) -> None:
    tokenizer = make_tokenizer(kind, family)
    quote, plain = quoting(tokenizer), "good film"
    for pair in (None, [quote, plain]):
        found = encode_texts(tokenizer, [quote, plain], pair, 64)
        assert specials(tokenizer, found[0]) == specials(tokenizer, found[1])
    words = tokenise_words(tokenizer, [quote.split(), plain.split()], 64)
    assert specials(tokenizer, words.ids[0]) == specials(tokenizer, words.ids[1])


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_texts_to_be_written_that_quote_have_the_tokens_of_those_that_do_not(family: str) -> None:
    tokenizer = make_tokenizer("encoder-decoder", family)
    quote, plain = tokenise_targets(tokenizer, [quoting(tokenizer), "good film"])
    assert specials(tokenizer, quote) == specials(tokenizer, plain)
    assert plain[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(("kind", "family"), FAMILIES)
def test_rewards_read_quotes_as_text(kind: str, family: str) -> None:
    tokenizer = make_tokenizer(kind, family)
    said = [quoting(tokenizer), "good film"]
    columns: dict[str, list[Any]] = {
        "prompt": said,
        "messages": [None] * 2,
        "responses": [[said[0]], [said[1]]],
    }
    records = Records("x", columns, [1, 2], ("prompt",))
    found = encode_responses(tokenizer, records, 256, "auto").encoded
    assert specials(tokenizer, found[0]) == specials(tokenizer, found[1])


def test_ordinary_text_is_read_as_the_tokenizer_reads_it(shared: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "stories260K")
    texts = ["Once upon a time", "naïve 🙂  two  spaces\n", "< s > </ s> [ SEP ]", ""]
    own = [tokenizer(text)["input_ids"] for text in texts]
    found = encode_texts(tokenizer, texts, None, 512)
    assert [found[i].tolist() for i in range(4)] == own


def test_the_setting_travels_with_the_tokenizer(tmp_path: Path) -> None:
    make_tokenizer("encoder", "bert").save_pretrained(tmp_path / "base")
    base = str(tmp_path / "base")
    for how, inert in (("text", True), ("tokens", False)):
        tokenizer = read_tokenizer(ModelConfig(name=base, special_tokens_in_text=how))  # type: ignore[arg-type]
        tokenizer.save_pretrained(tmp_path / how)
        from transformers import AutoTokenizer

        again = AutoTokenizer.from_pretrained(tmp_path / how)
        assert stay_text(again) is inert
        ids = encode_texts(again, ["good [SEP] film"], None, 16)[0]
        assert (ids == again.sep_token_id).sum() == (1 if inert else 2)
    plain = AutoTokenizer.from_pretrained(base)
    assert stay_text(plain)


def test_what_is_quoted_is_counted_with_its_lines() -> None:
    tokenizer = make_tokenizer("encoder", "bert")
    turns = [{"role": "user", "content": "[SEP] and [SEP]"}]
    columns: dict[str, list[Any]] = {
        "text": ["a [MASK]", "b", "c"],
        "messages": [None, turns, None],
        "label": ["[CLS]"] * 3,
    }
    records = Records("x.csv", columns, [2, 3, 9], ("text",))
    (said,) = note_special_tokens(tokenizer, records, "train")
    assert said["code"] == "data.special_tokens_as_text"
    assert said["values"]["number"] == 2 and said["values"]["lines"] == "2, 3"
    assert said["values"]["tokens"] == "[MASK], [SEP]"
    tokenizer.init_kwargs["special_tokens_in_text"] = "tokens"
    assert noted(note_special_tokens(tokenizer, records, "train"))[0].startswith(
        "data.special_tokens_as_tokens"
    )
    assert note_special_tokens(tokenizer, records.take([2]), "test") == []


def test_the_longest_token_is_found() -> None:
    tokenizer = make_tokenizer("encoder", "bert")
    tokenizer.add_special_tokens({"additional_special_tokens": ["[SEP]2"]})
    assert written_in(tokenizer, "x[SEP]2 [SEP]") == [(1, 7), (8, 13)]
    assert np.array(written_in(tokenizer, "[sep]")).size == 0
