"""A base with new tokens, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.extended_base import Saved, extended

TEXTS = ["the cellar was cold", "a cellar and a porch"] * 5


def test_without_new_tokens_it_is_the_base_itself(
    asking: Callable[..., AdaptConfig], tmp_path: Path
) -> None:
    config = asking()
    assert extended(config, TEXTS, tmp_path) == (config.model, Saved(0, 0.0))


def test_words_that_are_not_known_become_tokens(
    asking: Callable[..., AdaptConfig], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    model, saved = extended(asking(adaptation={"new_tokens": 2}), TEXTS, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(model.name)
    assert saved.number == 2
    ids = tokenizer("a cellar and a porch", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["a", "cellar", "and", "a", "porch"]
    weights = tmp_path / "extended/model.safetensors"
    written = weights.stat().st_mtime_ns
    assert extended(asking(adaptation={"new_tokens": 2}), TEXTS, tmp_path) == (model, saved)
    assert weights.stat().st_mtime_ns == written
