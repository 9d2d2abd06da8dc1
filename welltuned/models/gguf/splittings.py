"""How texts are split before BPE: what llama.cpp knows by a name, told by what a tokenizer does.

llama.cpp's own converter recognises a tokenizer by a hash of what it makes of one text, and so
none that was trained anew. Here it is the steps of its `tokenizer.json` that are compared; the
patterns are those of `llama-vocab.cpp` (LLAMA_VOCAB_PRE_TYPE_…).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_BYTES, _WORDS_AND_BYTES = ("bytes", ""), ("bytes", "words")
"""Bytes as letters; the second splits into words as GPT-2 does before."""


@dataclass(frozen=True)
class Splitting:
    """A way of splitting texts that llama.cpp knows."""

    name: str
    """`tokenizer.ggml.pre`."""
    steps: tuple[tuple[str, str], ...]
    merges_whole_words: bool = True
    """Whether a word that is a token is split and merged all the same (not `ignore_merges`)."""


SPLITTINGS = (
    Splitting("gpt-2", (_WORDS_AND_BYTES,)),
    Splitting("smollm", (("digits", "each"), _WORDS_AND_BYTES)),
    Splitting("llama-bpe", (("split", LLAMA3), _BYTES), merges_whole_words=False),
    Splitting("qwen2", (("split", QWEN2), _BYTES)),
)
READ_BY_TRANSFORMERS = ("gpt-2", "llama-bpe", "qwen2")
"""Those that transformers' own reader splits by; it takes the first for any other."""


def splitting_of(backend: Mapping[str, Any]) -> Splitting | None:
    """What a `tokenizer.json` does; None where llama.cpp has no name for it."""
    steps = tuple(_steps(backend["pre_tokenizer"]))
    merges = not backend["model"].get("ignore_merges", False)
    same = (one for one in SPLITTINGS if one.steps == steps and one.merges_whole_words == merges)
    return next(same, None)


def _steps(part: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Each step as (what it does, how)."""
    if part is None:
        return
    kind = part["type"]
    if kind == "Sequence":
        for one in part["pretokenizers"]:
            yield from _steps(one)
    elif kind == "ByteLevel" and not part.get("add_prefix_space", False):
        yield "bytes", "words" if part.get("use_regex", True) else ""
    elif kind == "Digits":
        yield "digits", "each" if part["individual_digits"] else "together"
    elif kind == "Split" and part["behavior"] == "Isolated" and not part["invert"]:
        yield "split", str(part["pattern"].get("Regex", part["pattern"]))
    else:
        yield kind, str(part)
