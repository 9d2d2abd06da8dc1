"""A model without weights runs, and tells what it calls."""

from __future__ import annotations

from typing import Any

from transformers import AutoModelForSequenceClassification

from support import make_config
from welltuned.models.loading import Head, build_skeleton
from welltuned.models.skeleton_run import watch_run


def trunk(family: str) -> Any:
    """Two blocks, on no device."""
    config = make_config(family, num_labels=2, num_hidden_layers=2)
    return build_skeleton(Head(AutoModelForSequenceClassification, config)).base_model


def test_modules_are_told_in_the_order_of_their_calls() -> None:
    calls, _ = watch_run(trunk("bert"))
    assert calls[0] == "embeddings.word_embeddings" and calls[-1] == "pooler.dense"
    first = [name for name in calls if name.startswith("encoder.layer.0.")]
    assert [name.removeprefix("encoder.layer.0.") for name in first] == [
        *(f"attention.self.{one}" for one in ("query", "key", "value")),
        *(f"attention.output.{one}" for one in ("dense", "LayerNorm")),
        *("intermediate.dense", "output.dense", "output.LayerNorm"),
    ]
    assert calls.index(first[-1]) < calls.index("encoder.layer.1.attention.self.query")


def test_attention_is_told_with_its_key_heads_and_their_size() -> None:
    _, attentions = watch_run(trunk("llama"))
    assert attentions == {f"layers.{i}.self_attn": (2, 8) for i in range(2)}


def test_the_model_is_left_as_it_was() -> None:
    model = trunk("bert")
    assert watch_run(model) == watch_run(model)
    assert model.config.pad_token_id == 0
    assert not any(module._forward_hooks for module in model.modules())
