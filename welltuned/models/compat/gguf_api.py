"""transformers' and gguf's readers of GGUF files: what differs between releases."""

from __future__ import annotations

from typing import Any

import transformers
from transformers.integrations import ggml

__all__ = ["BYTES_AND_WORDS", "known_splittings", "need_no_bos", "reading_options"]

BYTES_AND_WORDS = "gpt-2"
"""The splitting that transformers takes for every name which it does not know."""


def reading_options() -> dict[str, Any]:
    """What `from_pretrained` is told besides, so that weights are numbers and not packed blocks.

    Releases before 5.23 know no other way.
    """
    config: Any = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def known_splittings() -> frozenset[str]:
    """How tokenizers split texts, by the names (`tokenizer.ggml.pre`) that are read as meant."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:  # releases before 5.23 look at the architecture
        return frozenset({BYTES_AND_WORDS})
    return frozenset({BYTES_AND_WORDS, *GGUF_PRE_TOKENIZER_SPLITS})


def need_no_bos() -> None:
    """Have transformers read tokenizers of files that name no token for the beginning of a text.

    Releases before 5.23 look for that token in any case, and find the one for the end by it.
    """
    told: Any = getattr(ggml, "GGUFTokenizerSkeleton", None)
    if told is not None:
        told.bos_token_id = _EndOfText()  # what a file names is set on each, and hides this


class _EndOfText:
    """In place of a token that is not named: the one for the end of a text, or None."""

    def __get__(self, told: object, kind: type) -> Any:
        return getattr(told, "eos_token_id", None)
