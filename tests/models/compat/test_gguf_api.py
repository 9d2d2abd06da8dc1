"""Readers of GGUF files, as this release of transformers has them."""

from __future__ import annotations

import transformers

from welltuned.models.compat.gguf_api import BYTES_AND_WORDS, known_splittings, reading_options


def test_weights_are_asked_for_as_numbers_where_they_could_stay_packed() -> None:
    options = reading_options()
    assert bool(options) is hasattr(transformers, "GgufConfig")
    assert all(one.dequantize for one in options.values())


def test_the_splitting_of_gpt_2_is_known_and_that_of_nobody_is_not() -> None:
    known = known_splittings()
    assert BYTES_AND_WORDS in known and "no-such-splitting" not in known
    if hasattr(transformers, "GgufConfig"):
        assert {"llama-bpe", "qwen2", "tekken"} <= known
