"""How a tokenizer splits texts is told by what its file says, and named as llama.cpp names it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from welltuned.models.gguf.splittings import (
    LLAMA3,
    QWEN2,
    READ_BY_TRANSFORMERS,
    SPLITTINGS,
    splitting_of,
)

WORDS = pre_tokenizers.ByteLevel(add_prefix_space=False)
LETTERS = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split(pattern: str, behavior: str = "isolated") -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior), LETTERS])


def name_of(steps: Any, ignore_merges: bool = False) -> str | None:
    backend = Tokenizer(models.BPE({"a": 0}, [], ignore_merges=ignore_merges))
    backend.pre_tokenizer = steps
    found = splitting_of(json.loads(backend.to_str()))
    return None if found is None else found.name


@pytest.mark.parametrize(
    ("steps", "ignores", "name"),
    [
        (WORDS, False, "gpt-2"),
        (pre_tokenizers.Sequence([pre_tokenizers.Digits(True), WORDS]), False, "smollm"),
        (split(LLAMA3), True, "llama-bpe"),
        (split(QWEN2), False, "qwen2"),
        (split(QWEN2), True, None),
        (split(LLAMA3, "removed"), True, None),
        (pre_tokenizers.Sequence([pre_tokenizers.Digits(False), WORDS]), False, None),
        (pre_tokenizers.ByteLevel(add_prefix_space=True), False, None),
        (LETTERS, False, None),
        (pre_tokenizers.Whitespace(), False, None),
    ],
)
def test_steps_have_the_name_of_llama_cpp(steps: Any, ignores: bool, name: str | None) -> None:
    assert name_of(steps, ignores) == name


def test_patterns_are_those_that_others_read_the_names_by() -> None:
    mapping = pytest.importorskip(
        "transformers.integrations.gguf.gguf_tokenizer_mapping",
        reason="releases of transformers before 5.23 split by architecture, not by name",
    )
    known = mapping.GGUF_PRE_TOKENIZER_SPLITS
    assert known["llama-bpe"] == LLAMA3 and known["qwen2"] == QWEN2
    named = {one.name for one in SPLITTINGS}
    assert set(READ_BY_TRANSFORMERS) == {one for one in named if one in known or one == "gpt-2"}
